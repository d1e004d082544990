/** Faults in which the network is slow. */

import { setTimeout as delay } from "node:timers/promises";
import type { Violation } from "../checker/violation.ts";
import { SdkProcess } from "../clients/sdk-process.ts";
import { createHost, missingNetwork } from "../disturb/network.ts";
import { startProxy } from "../disturb/proxy.ts";
import type { Fault } from "../fault.ts";
import { megabytes, ms, percentile } from "../figures.ts";
import type { History } from "../history.ts";
import { startRelay } from "../relay.ts";
import type { FaultServer } from "../server.ts";
import { answerTimes, deliveryTimes } from "../timings.ts";

/** A long way to the server. */
export const latency: Fault = {
  id: "N1",
  name: "latency",
  title: "200 ms of latency each way, ± 100 ms",
  figureTitle: "time until answered, p50 and p99",
  ci: true,
  async run(context) {
    const violations: Violation[] = [];
    const server = await context.serve();
    const proxy = await startProxy(server.address, { random: context.random });
    context.defer(() => proxy.close());
    const storm = await context.storm({ address: server.address, addressOf: () => proxy.address });
    for (const direction of ["up", "down"] as const) proxy.set(direction, { latencyMs: 100, jitterMs: 200 });
    const fromMs = performance.now();
    await delay(context.scale(3_500, 30_000));
    const times = answerTimes(storm.histories, { fromMs, toMs: performance.now() - 500 });
    const p50 = percentile(times, 50);
    if (p50 < 200) violations.push({ rule: "run", text: `answers came after ${ms(p50)}: nothing was late` });
    violations.push(...(await context.conclude(server)));
    return {
      rounds: 1,
      violations,
      figure: `answered after p50 ${ms(p50)}, p99 ${ms(percentile(times, 99))} of ${times.length}; ${storm.reconnects} reconnects, ${storm.repeatsHeldBack} repeats held back`,
    };
  },
};

/** What one reader gets that is slower than what is sent to it. */
const slowBytesPerSecond = 2_000;
const slowUsers = 6;

/** Some who cannot take what comes, among others. */
export const slowLink: Fault = {
  id: "N2",
  name: "slow-link",
  title: "16 kbit/s from the server to 6 clients of 50",
  figureTitle: "p99 of the others before and meanwhile, memory of the server, time to catch up",
  ci: false,
  async run(context) {
    const violations: Violation[] = [];
    const server = await context.serve();
    const proxy = await startProxy(server.address);
    context.defer(() => proxy.close());
    const storm = await context.storm({
      address: server.address,
      addressOf: (user) => (user < slowUsers ? proxy.address : server.address),
    });
    const slow = storm.clients.slice(0, slowUsers);
    const others = storm.histories.filter(
      ({ client }) => !slow.some(({ history }) => history.client === client),
    );
    const seconds = context.scale(4, 20);
    // As long without the fault: a young server grows by itself.
    const beforeMs = performance.now();
    const grownBefore = await growth(server, seconds);
    const slowMs = performance.now();
    const bytesBefore = proxy.bytes.down;
    proxy.set("down", { bytesPerSecond: slowBytesPerSecond });
    const grown = await growth(server, seconds);
    const toMs = performance.now();
    const passed = proxy.bytes.down - bytesBefore;
    const shownToSlow = shownIn(slow[0]?.history, slowMs, toMs);
    const shownToOthers = shownIn(storm.clients[slowUsers]?.history, slowMs, toMs);
    proxy.clear();
    await storm.stop();
    const fromMs = performance.now();
    violations.push(...(await storm.settle()));
    const caughtUpMs = performance.now() - fromMs;

    for (const [what, times] of [
      ["answer", answerTimes],
      ["delivery", deliveryTimes],
    ] as const) {
      const before = percentile(times(others, { fromMs: beforeMs, toMs: slowMs }), 99);
      const during = percentile(times(others, { fromMs: slowMs, toMs: toMs - 500 }), 99);
      if (during > 5 * before + 100)
        violations.push({
          rule: "I12",
          text: `p99 of ${what} of the others rose from ${ms(before)} to ${ms(during)}`,
        });
    }
    if (grown - grownBefore > 64 * 1_048_576)
      violations.push({
        rule: "I11",
        text: `the server grew by ${megabytes(grown)}, before by ${megabytes(grownBefore)}`,
      });
    if (shownToSlow * 2 > shownToOthers)
      violations.push({ rule: "run", text: "the slow readers were not much behind the others" });
    violations.push(...(await context.conclude(server)));
    const p99 = (from: number, to: number) =>
      percentile(deliveryTimes(others, { fromMs: from, toMs: to }), 99);
    return {
      rounds: 1,
      violations,
      figure: `delivery to the others p99 ${ms(p99(beforeMs, slowMs))} before, ${ms(p99(slowMs, toMs - 500))} meanwhile; ${passed} bytes to ${slowUsers} slow ones in ${seconds} s, who got ${shownToSlow} events where others got ${shownToOthers}; server +${megabytes(grownBefore)} before, +${megabytes(grown)} meanwhile; all caught up ${ms(caughtUpMs)} after`,
    };
  },
};

/** Packets that get lost. */
export const packetLoss: Fault = {
  id: "N6",
  name: "packet-loss",
  title: "every fifth packet is lost, in both directions",
  figureTitle: "messages answered and delivered per second, before and meanwhile",
  ci: false,
  missing: () => missingNetwork("nft"),
  async run(context) {
    const server = await context.serve();
    const host = createHost("loss");
    context.defer(() => host.close());
    const relay = await startRelay(server.address, { host: host.hostAddress });
    context.defer(() => relay.close());
    const storm = await context.storm({ address: server.address, sdk: 10, raw: 10, perSecond: 100 });
    for (let n = 0; n < 6; n++) {
      const client = new SdkProcess(relay.address, `lossy-${n}`, host.wrapper);
      context.defer(() => client.close());
      await client.start();
      await client.perform({ f: "join", groupId: `group-${n % 5}` });
      storm.clients.push(client);
    }
    const lossy = storm.clients.slice(-6).map(({ history }) => history);
    const measure = async (forMs: number) => {
      const fromMs = performance.now();
      await delay(forMs);
      const toMs = performance.now();
      const answered = lossy.reduce((sum, history) => sum + answeredIn(history, fromMs, toMs), 0);
      const shown = lossy.reduce((sum, history) => sum + shownIn(history, fromMs, toMs), 0);
      const p90 = percentile(answerTimes(lossy, { fromMs, toMs }), 90);
      const perSecond = (count: number) => Math.round((count * 1_000) / (toMs - fromMs));
      const figure = `${perSecond(answered)} answered and ${perSecond(shown)} delivered per second, answers p90 ${ms(p90)}`;
      return { p90, figure };
    };
    const before = await measure(context.scale(2_000, 8_000));
    host.loss(20);
    const during = await measure(context.scale(5_000, 30_000));
    host.loss(0);
    const violations = await context.conclude(server);
    // What is lost is sent again after at least 200 ms.
    if (during.p90 < 200)
      violations.push({ rule: "run", text: `p90 of answers was ${ms(during.p90)}: nothing was lost` });
    const reconnects = storm.clients.slice(-6).reduce((sum, client) => sum + client.reconnects, 0);
    return {
      rounds: 1,
      violations,
      figure: `6 clients: ${before.figure} before; ${during.figure} with 20 % loss; ${reconnects} reconnects`,
    };
  },
};

/** By how much a server's memory grows within some seconds, at most. */
async function growth(server: FaultServer, seconds: number): Promise<number> {
  const before = server.residentBytes();
  let most = before;
  for (let second = 0; second < seconds; second++) {
    await delay(1_000);
    most = Math.max(most, server.residentBytes());
  }
  return most - before;
}

/** How many events an application was shown in a period. */
function shownIn(history: History | undefined, fromMs: number, toMs: number): number {
  const entries = history?.entries ?? [];
  return entries.filter(({ type, atMs }) => type === "shown" && atMs >= fromMs && atMs < toMs).length;
}

/** How many of a client's operations were carried out in a period. */
function answeredIn({ entries }: History, fromMs: number, toMs: number): number {
  return entries.filter(({ type, atMs }) => type === "ok" && atMs >= fromMs && atMs < toMs).length;
}
