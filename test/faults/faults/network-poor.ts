/** Faults in which the network is poor: slow, lossy, or breaking off. */

import { setTimeout as delay } from "node:timers/promises";
import { v7 as uuidv7 } from "uuid";
import { eventually } from "../../support/eventually.ts";
import type { Violation } from "../checker/violation.ts";
import { SdkClient } from "../clients/sdk-client.ts";
import { SdkProcess } from "../clients/sdk-process.ts";
import type { FaultContext } from "../context.ts";
import { createHost, missingNetwork } from "../disturb/network.ts";
import { type FaultProxy, type ProxyOptions, startProxy } from "../disturb/proxy.ts";
import type { Fault } from "../fault.ts";
import { megabytes, ms, percentile } from "../figures.ts";
import type { History } from "../history.ts";
import { startRelay } from "../relay.ts";
import { bodyMarker } from "../storm.ts";
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
    const proxy = await startProxyFor(context, server.address, { random: context.random });
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
    const proxy = await startProxyFor(context, server.address);
    const storm = await context.storm({
      address: server.address,
      addressOf: (user) => (user < slowUsers ? proxy.address : server.address),
    });
    const slow = storm.clients.slice(0, slowUsers);
    const others = storm.histories.filter(
      ({ client }) => !slow.some(({ history }) => history.client === client),
    );
    await delay(2_000);
    const beforeMs = performance.now();
    await delay(context.scale(2_500, 8_000));
    const rssBefore = (await server.status()).rssBytes;
    const slowMs = performance.now();
    const bytesBefore = proxy.bytes.down;
    proxy.set("down", { bytesPerSecond: slowBytesPerSecond });
    let rssMax = rssBefore;
    const seconds = context.scale(5, 30);
    for (let second = 0; second < seconds; second++) {
      await delay(1_000);
      rssMax = Math.max(rssMax, server.residentBytes());
    }
    const toMs = performance.now();
    const passed = proxy.bytes.down - bytesBefore;
    const sentBefore = shownIn(slow[0]?.history, slowMs, toMs);
    const sentToOthers = shownIn(storm.clients[slowUsers]?.history, slowMs, toMs);
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
    const grown = rssMax - rssBefore;
    if (grown > 64 * 1_048_576)
      violations.push({ rule: "I11", text: `the server grew by ${megabytes(grown)}` });
    if (sentBefore * 2 > sentToOthers)
      violations.push({ rule: "run", text: "the slow readers were not much behind the others" });
    violations.push(...(await context.conclude(server)));
    const p99 = (from: number, to: number) =>
      percentile(deliveryTimes(others, { fromMs: from, toMs: to }), 99);
    return {
      rounds: 1,
      violations,
      figure: `delivery to the others p99 ${ms(p99(beforeMs, slowMs))} before, ${ms(p99(slowMs, toMs - 500))} meanwhile; ${passed} bytes to ${slowUsers} slow ones in ${seconds} s, who got ${sentBefore} events where others got ${sentToOthers}; server +${megabytes(grown)}; all caught up ${ms(caughtUpMs)} after`,
    };
  },
};

/** Connections that break all the time. */
export const resets: Fault = {
  id: "N5",
  name: "resets",
  title: "all connections are reset again and again",
  figureTitle: "streams opened again, repeats held back by the SDK, repeats shown",
  ci: true,
  async run(context) {
    const everyMs = context.scale(300, 1_000);
    const rounds = context.scale(16, 30);
    const server = await context.serve();
    const proxy = await startProxyFor(context, server.address);
    const storm = await context.storm({ address: server.address, addressOf: () => proxy.address });
    for (let round = 0; round < rounds; round++) {
      await delay(everyMs);
      proxy.resetAll();
    }
    const violations = await context.conclude(server);
    const shown = repeatsShown(storm.histories);
    if (storm.reconnects === 0) violations.push({ rule: "run", text: "no stream was opened again" });
    return {
      rounds,
      violations,
      figure: `${storm.reconnects} streams opened again; ${storm.repeatsHeldBack} repeats held back by the SDK, ${shown} shown; ${storm.acknowledged} messages answered`,
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
    const rate = async (forMs: number) => {
      const fromMs = performance.now();
      await delay(forMs);
      const toMs = performance.now();
      const answered = lossy.reduce((sum, history) => sum + answeredIn(history, fromMs, toMs), 0);
      const shown = lossy.reduce((sum, history) => sum + shownIn(history, fromMs, toMs), 0);
      const perSecond = (count: number) => Math.round((count * 1_000) / (toMs - fromMs));
      return `${perSecond(answered)} answered and ${perSecond(shown)} delivered per second`;
    };
    const before = await rate(context.scale(2_000, 8_000));
    host.loss(20);
    const during = await rate(context.scale(5_000, 30_000));
    host.loss(0);
    const violations = await context.conclude(server);
    const reconnects = storm.clients.slice(-6).reduce((sum, client) => sum + client.reconnects, 0);
    return {
      rounds: 1,
      violations,
      figure: `6 clients: ${before} before, ${during} with 20 % loss; ${reconnects} reconnects`,
    };
  },
};

/** The SDK asks whether a connection lives 30 s after the last sign of life, and waits 10 s for an answer. */
const sdkKeepaliveMs = 40_000;
/** How long a new stream may take, with the SDK's backoff, on a busy machine. */
const reconnectMs = 10_000;

/** A middle box between clients and server that forgets. */
export const idleForgotten: Fault = {
  id: "N9",
  name: "idle-forgotten",
  title: "a middle box forgets connections after 3 s without a byte and tells nobody",
  figureTitle: "time until the SDK finds out, and until messages sent meanwhile are delivered and answered",
  ci: false,
  async run(context) {
    const violations: Violation[] = [];
    const server = await context.serve();
    const proxy = await startProxyFor(context, server.address);
    const storm = await context.storm({ address: server.address, sdk: 5, raw: 5, perSecond: 20 });
    const idle = await Promise.all(
      Array.from({ length: 10 }, async (_, n) => {
        const client = new SdkClient({ address: proxy.address, userId: `idle-${n}` });
        context.defer(() => client.close());
        await client.start();
        return client;
      }),
    );
    await delay(500);
    proxy.idleBlackHoleMs = 3_000;
    const fromMs = performance.now();
    await delay(4_000);
    // One of them talks, the others are talked to.
    const [talker, ...listeners] = idle as [SdkClient, ...SdkClient[]];
    const [sender] = storm.clients as [(typeof storm.clients)[number]];
    const bodies = new Map<SdkClient, string>();
    for (const client of listeners) {
      const message = newMessage(client.userId);
      bodies.set(client, message.body);
      await sender.perform(message);
    }
    const askedMs = performance.now();
    const answered = talker.perform(newMessage(sender.userId)).then(() => performance.now() - askedMs);
    const lost = listeners.filter((client) => client.has(bodies.get(client) as string)).length;
    if (lost > 0) violations.push({ rule: "run", text: `${lost} connections were not forgotten` });

    const found = new Map<SdkClient, number>();
    await eventually(() => {
      for (const client of idle)
        if (client.reconnects > 0 && !found.has(client)) found.set(client, performance.now() - fromMs);
      return listeners.every((client) => client.has(bodies.get(client) as string)) && talker.live;
    }, sdkKeepaliveMs + reconnectMs).catch(() =>
      violations.push({
        rule: "I12",
        text: `not all messages arrived within ${ms(sdkKeepaliveMs + reconnectMs)}`,
      }),
    );
    proxy.clear();
    const times = [...found.values()];
    storm.clients.push(...idle);
    const answeredMs = await answered;
    violations.push(...(await context.conclude(server)));
    return {
      rounds: 1,
      violations,
      figure: `SDK with a stream again p50 ${ms(percentile(times, 50))}, max ${ms(percentile(times, 100))} after the last byte; what one of them sent was answered after ${ms(answeredMs)}; ${repeatsShown(idle.map(({ history }) => history))} messages shown twice`,
    };
  },
};

async function startProxyFor(
  context: FaultContext,
  target: string,
  options: ProxyOptions = {},
): Promise<FaultProxy> {
  const proxy = await startProxy(target, options);
  context.defer(() => proxy.close());
  return proxy;
}

function newMessage(recipientId: string) {
  const clientMessageId = uuidv7();
  const body = `${bodyMarker} ${clientMessageId}`;
  return { f: "send" as const, to: { recipientId }, clientMessageId, body };
}

/** How many events an application was shown that it had been shown before. */
function repeatsShown(histories: readonly History[]): number {
  return histories.reduce((sum, { entries }) => {
    const shown = entries.flatMap((entry) => (entry.type === "shown" ? [entry.event] : []));
    const places = new Set(shown.map(({ conversationId, seq }) => `${conversationId}/${seq}`));
    return sum + shown.length - places.size;
  }, 0);
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
