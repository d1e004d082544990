/** Faults in which a process stands still for a while and goes on. */

import { setTimeout as delay } from "node:timers/promises";
import { v7 as uuidv7 } from "uuid";
import { connect, logIn } from "../../support/connect.ts";
import { eventually } from "../../support/eventually.ts";
import type { Violation } from "../checker/violation.ts";
import { RawClient } from "../clients/raw-client.ts";
import { SdkProcess } from "../clients/sdk-process.ts";
import type { FaultContext } from "../context.ts";
import type { Fault } from "../fault.ts";
import { megabytes, ms, percentile } from "../figures.ts";
import { startPresenceWatch } from "../presence-watch.ts";
import type { FaultServer } from "../server.ts";
import { bodyMarker, type Storm } from "../storm.ts";
import { answerTimes, deliveryTimes } from "../timings.ts";

/** How long presence may be wrong, in milliseconds. */
const presenceMs = 15_000;
/** A pause this long gives a client on the SDK no reason to leave: it asks every 20 s and waits for a while. */
const shortMs = 5_000;

/** A server that knows nothing of the time that went by. */
export const freezeServer: Fault = {
  id: "P5",
  name: "freeze-server",
  title: "SIGSTOP of the server for 5 s and 60 s, then SIGCONT",
  figureTitle: "the longest stall seen by clients, users falsely shown offline",
  ci: false,
  async run(context) {
    const violations: Violation[] = [];
    const pauses = context.mode === "ci" ? [shortMs] : [shortMs, shortMs, 60_000];
    const server = await context.serve();
    const storm = await context.storm({ address: server.address });
    const watch = await startPresenceWatch(context, server.address, storm.userIds);
    const sdkIds = storm.userIds.filter((userId) => userId.startsWith("sdk-"));
    const stalls: string[] = [];
    for (const pauseMs of pauses) {
      await delay(1_000);
      const fromMs = performance.now();
      const before = sdkReconnects(storm);
      server.freeze();
      await delay(pauseMs);
      server.thaw();
      await eventually(() => storm.clients.every(({ live }) => live) && watch.client.live, 60_000);
      // As long as a wrong state may stand, and a little.
      await delay(context.scale(3_000, presenceMs + 2_000));

      const offline = watch.offlineEvents(fromMs, sdkIds);
      const left = sdkReconnects(storm) - before;
      if (pauseMs === shortMs && left > 0)
        violations.push({
          rule: "I12",
          text: `${left} streams of the SDK broke in a pause of ${ms(pauseMs)}`,
        });
      if (pauseMs === shortMs && offline > 0)
        violations.push({ rule: "I13", text: `${offline} users were shown offline who never left` });
      for (const userId of storm.userIds) {
        const wrongMs = watch.longest(userId, false, fromMs);
        if (wrongMs > presenceMs || watch.shown(userId) === false)
          violations.push({
            rule: "I13",
            text: `${userId} was shown offline for ${ms(wrongMs)} while there`,
          });
      }
      const stallMs = percentile(answerTimes(storm.histories, { fromMs, toMs: fromMs + pauseMs }), 100);
      stalls.push(
        `${ms(pauseMs)}: stall ${ms(stallMs)}, ${left} of ${sdkIds.length} SDK streams opened again, ${offline} of their users shown offline, ${watch.offlineEvents(fromMs)} of all`,
      );
    }
    violations.push(...(await endWatch(watch, storm, server)));
    violations.push(...(await context.conclude(server)));
    return { rounds: pauses.length, violations, figure: stalls.join("; ") };
  },
};

/** How much a server may grow by under this load, most of it garbage; `zero-window` looks closer. */
const maxGrowth = 256 * 1_048_576;
/** The text of a message as large as it may be. */
const largeText = `${bodyMarker}${"x".repeat(16_000)}`;

/** One client that stops to read, among others. */
export const freezeClient: Fault = {
  id: "P6",
  name: "freeze-client",
  title: "SIGSTOP of one client's process of 100, then SIGCONT",
  figureTitle:
    "p99 of the others before and meanwhile, memory of the server, when the frozen one was shown offline",
  ci: true,
  async run(context) {
    const violations: Violation[] = [];
    const pauseMs = context.scale(5_000, 25_000);
    const server = await context.serve();
    const storm = await context.storm({ address: server.address, sdk: 60, raw: 31, perSecond: 200 });
    const frozen = new SdkProcess(server.address, "frozen");
    context.defer(() => frozen.close());
    await frozen.start();
    for (const groupId of ["group-0", "group-1"]) await frozen.perform({ f: "join", groupId });
    const watch = await startPresenceWatch(context, server.address, [frozen.userId, ...storm.userIds]);
    storm.clients.push(frozen);
    // More than any buffer on the way takes, so that it waits in the server.
    const feeder = await startFeeder(context, server.address, frozen.userId, context.scale(50, 300));

    const beforeMs = performance.now();
    await delay(context.scale(2_500, 10_000));
    const rssBefore = (await server.status()).rssBytes;
    const frozenMs = performance.now();
    frozen.freeze();
    let rssMax = rssBefore;
    while (performance.now() < frozenMs + pauseMs) {
      await delay(500);
      rssMax = Math.max(rssMax, server.residentBytes());
    }
    const thawMs = performance.now();
    const shownMs = await watch.until(frozen.userId, false, frozenMs, 0);
    const othersOffline = watch.offlineEvents(
      frozenMs,
      storm.userIds.filter((id) => id !== frozen.userId),
    );
    await feeder.stop();
    frozen.thaw();
    await eventually(() => frozen.live && watch.shown(frozen.userId) === true, 30_000).catch(() => {
      violations.push({ rule: "I13", text: "the client that came back is not shown online" });
    });

    const others = storm.histories.filter(({ client }) => client !== frozen.history.client);
    const p99 = (fromMs: number, toMs: number) =>
      [answerTimes, deliveryTimes].map((times) => percentile(times(others, { fromMs, toMs }), 99));
    const [answerBefore = 0, deliveryBefore = 0] = p99(beforeMs, frozenMs);
    // What is sent last may arrive after the pause.
    const [answerDuring = 0, deliveryDuring = 0] = p99(frozenMs, thawMs - 500);
    for (const [what, before, during] of [
      ["answer", answerBefore, answerDuring],
      ["delivery", deliveryBefore, deliveryDuring],
    ] as const) {
      if (during > 5 * before + 100)
        violations.push({ rule: "I12", text: `p99 of ${what} rose from ${ms(before)} to ${ms(during)}` });
    }
    const grown = rssMax - rssBefore;
    if (grown > maxGrowth) violations.push({ rule: "I11", text: `the server grew by ${megabytes(grown)}` });
    if (othersOffline > 0)
      violations.push({ rule: "I13", text: `${othersOffline} others were shown offline` });
    const isLate = shownMs === undefined || shownMs - frozenMs > presenceMs;
    if (pauseMs > presenceMs && isLate)
      violations.push({
        rule: "I13",
        text: `shown offline after ${shownMs ? ms(shownMs - frozenMs) : "never"}`,
      });
    violations.push(...(await endWatch(watch, storm, server)));
    violations.push(...(await context.conclude(server, { histories: [feeder.history] })));
    return {
      rounds: 1,
      violations,
      figure: `p99 of the other 99: answer ${ms(answerBefore)} before, ${ms(answerDuring)} meanwhile; delivery ${ms(deliveryBefore)} and ${ms(deliveryDuring)}; server +${megabytes(grown)} with ${megabytes(feeder.bytes())} sent to the frozen one; shown offline after ${shownMs === undefined ? `more than ${ms(pauseMs)}` : ms(shownMs - frozenMs)}; ${frozen.reconnects} reconnects`,
    };
  },
};

/** The event loop held up, as by a long computation. */
export const blockEventLoop: Fault = {
  id: "P9",
  name: "block-event-loop",
  title: "the server's event loop is busy for 3 s",
  figureTitle: "streams that were wrongly closed",
  ci: false,
  async run(context) {
    const spinMs = 3_000;
    const rounds = context.scale(1, 4);
    const violations: Violation[] = [];
    const spins = Array.from({ length: rounds }, (_, n) => `event-loop=spin:${spinMs}@${5 + 4 * n}`);
    // Asked for often, so that each block of the loop meets pings under way.
    const server = await context.serve({
      failPoints: spins.join(";"),
      args: ["--keepalive-time-ms", "200", "--keepalive-idle-time-ms", "200"],
    });
    const startMs = performance.now();
    const storm = await context.storm({ address: server.address });
    // Clients that leave it to the server to notice a dead connection.
    const tokens = await logIn(server.address, storm.userIds, "patient");
    const patient = await Promise.all(
      tokens.map(async (token) => {
        const connection = connect(server.address, token);
        context.defer(() => connection.close());
        const stream = connection.stream();
        let isOpen = true;
        void stream.ended.then(() => {
          isOpen = false;
        });
        await stream.open();
        return { stream, isOpen: () => isOpen };
      }),
    );
    const reconnects = sdkReconnects(storm);
    // Each spin takes the time of three looks of the sweeper.
    const lastMs = startMs + (5 + 4 * rounds) * 1_000 + rounds * spinMs;
    await delay(Math.max(0, lastMs - performance.now()) + 2_000);
    const delayMs = percentile(answerTimes(storm.histories, { fromMs: startMs, toMs: lastMs }), 100);
    if (delayMs < spinMs / 2) violations.push({ rule: "run", text: "the event loop was not held up" });
    const closed = patient.filter(({ isOpen }) => !isOpen()).length + sdkReconnects(storm) - reconnects;
    const total = patient.length + storm.histories.filter(({ kind }) => kind === "sdk").length;
    if (closed > 0) violations.push({ rule: "I12", text: `${closed} of ${total} streams were closed` });
    for (const { stream } of patient) stream.cancel();
    await eventually(async () => (await server.status()).sessions === storm.openStreams).catch(() => {});
    violations.push(...(await context.conclude(server)));
    return {
      rounds,
      violations,
      figure: `${closed} of ${total} streams wrongly closed; longest wait for an answer ${ms(delayMs)}`,
    };
  },
};

/** Closes a watcher and waits until the server knows. */
async function endWatch(
  watch: Awaited<ReturnType<typeof startPresenceWatch>>,
  storm: Storm,
  server: FaultServer,
): Promise<Violation[]> {
  await watch.close();
  const settled = async () => (await server.status()).sessions <= storm.openStreams;
  return eventually(settled).then(
    () => [],
    () => [{ rule: "I12", text: "the server kept the session of a client that was closed" }],
  );
}

/** How often streams of the SDK were opened again. */
function sdkReconnects(storm: Storm): number {
  const ofSdk = storm.clients.filter(({ history }) => history.kind === "sdk");
  return ofSdk.reduce((sum, { reconnects }) => sum + reconnects, 0);
}

/** Sends large messages to one user. */
async function startFeeder(context: FaultContext, address: string, recipientId: string, perSecond: number) {
  const client = new RawClient({ address, userId: "feeder", random: context.random });
  context.defer(() => client.close());
  await client.start();
  let sent = 0;
  let stopped = false;
  const lanes = Array.from({ length: 20 }, async () => {
    while (!stopped) {
      const clientMessageId = uuidv7();
      const body = `${largeText.slice(0, 16_000)} ${clientMessageId}`;
      await client.perform({ f: "send", to: { recipientId }, clientMessageId, body });
      sent++;
      await delay((1_000 * 20) / perSecond);
    }
  });
  return {
    history: client.history,
    bytes: () => sent * largeText.length,
    async stop() {
      stopped = true;
      await Promise.all(lanes);
      await client.close();
    },
  };
}
