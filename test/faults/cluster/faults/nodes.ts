/** Faults of one node among several. */

import { setTimeout as delay } from "node:timers/promises";
import { v7 as uuidv7 } from "uuid";
import { eventually } from "../../../support/eventually.ts";
import type { Violation } from "../../checker/violation.ts";
import { RawClient } from "../../clients/raw-client.ts";
import { SdkClient } from "../../clients/sdk-client.ts";
import { type Clock, createClock, missingClock } from "../../disturb/clock.ts";
import type { Fault } from "../../fault.ts";
import { ms, percentile } from "../../figures.ts";
import { type PresenceWatch, startPresenceWatch } from "../../presence-watch.ts";
import { bodyMarker } from "../../storm.ts";
import { deliveryTimes } from "../../timings.ts";
import {
  answeredIn,
  clusterFault,
  during,
  pinnedTo,
  startSpreadStorm,
  untilAllLive,
} from "../cluster-fault.ts";

/** How long presence may be wrong, in milliseconds. */
const presenceMs = 15_000;
/** Within this time of a node's death, whoever knows other nodes is with one. */
const movedMs = 6_000;

/** Checks that users are shown offline in time, and returns after how long they were. */
async function checkGone(
  watch: PresenceWatch,
  userIds: readonly string[],
  sinceMs: number,
): Promise<{ times: number[]; violations: Violation[] }> {
  const times: number[] = [];
  const violations: Violation[] = [];
  for (const userId of userIds) {
    const leftMs = sinceMs + presenceMs - performance.now();
    const atMs = await watch.until(userId, false, sinceMs, Math.max(0, leftMs));
    if (atMs !== undefined) times.push(atMs - sinceMs);
    else violations.push({ rule: "I13", text: `${userId} is shown online ${ms(presenceMs)} after it went` });
  }
  return { times, violations };
}

/** Checks that users are shown online in the end. */
async function checkBack(watch: PresenceWatch, userIds: readonly string[]): Promise<Violation[]> {
  const away = () => userIds.filter((userId) => watch.shown(userId) !== true);
  await eventually(() => away().length === 0, presenceMs).catch(() => {});
  return away().map((userId) => ({ rule: "I13", text: `${userId} is back and not shown online` }));
}

const killNode = clusterFault({
  id: "C8",
  name: "kill-node",
  title: "`kill -9` of one of three nodes; it is started again",
  figureTitle: "when its users were shown offline elsewhere, users who had moved and were",
  ci: true,
  async run(context) {
    const rounds = context.scale(1, 3);
    const violations: Violation[] = [];
    const cluster = await context.cluster();
    const storm = await startSpreadStorm(context, cluster);
    const sdkIds = storm.userIds.filter((userId) => userId.startsWith("sdk-"));
    const ghosts: number[] = [];
    let movers = 0;
    let wrong = 0;
    for (let round = 0; round < rounds; round++) {
      const index = 1 + (round % 2);
      const stayers = pinnedTo(index, cluster.servers.length);
      const watch = await startPresenceWatch(context, cluster.node(0).address, storm.userIds);
      await delay(1_000);
      const node = cluster.node(index);
      const killMs = performance.now();
      await node.kill();
      await delay(movedMs);
      const moved = sdkIds.filter((userId) =>
        storm.clients.some((client) => client.userId === userId && client.live),
      );
      movers += moved.length;
      const gone = await checkGone(watch, stayers, killMs);
      ghosts.push(...gone.times);
      violations.push(...gone.violations);
      // As long as the word of the dead node may count.
      await delay(Math.max(0, killMs + presenceMs - 2_000 - performance.now()));
      const falsely = watch.offlineEvents(killMs, moved);
      wrong += falsely;
      if (falsely > 0)
        violations.push({
          rule: "I13",
          text: `${falsely} users were shown offline who had moved to another node`,
        });
      await node.start();
      violations.push(...(await untilAllLive(storm)), ...(await checkBack(watch, storm.userIds)));
      await watch.close();
    }
    violations.push(...(await context.conclude(cluster)));
    return {
      rounds,
      violations,
      figure: `shown offline elsewhere after p50 ${ms(percentile(ghosts, 50))}, max ${ms(percentile(ghosts, 100))} of ${ghosts.length}; ${wrong} of ${movers} who had moved falsely shown offline; ${storm.acknowledged} messages answered, ${storm.reconnects} reconnects`,
    };
  },
});

const freezeNode = clusterFault({
  id: "C3",
  name: "freeze-node",
  title: "SIGSTOP of one of three nodes for 17 s, then SIGCONT",
  figureTitle: "when its users were shown offline elsewhere, users of others falsely shown offline",
  ci: false,
  async run(context) {
    const pauseMs = 17_000;
    const violations: Violation[] = [];
    const cluster = await context.cluster();
    const storm = await startSpreadStorm(context, cluster);
    const nodes = cluster.servers.length;
    const [frozenIds, otherIds] = [pinnedTo(2, nodes), [...pinnedTo(0, nodes), ...pinnedTo(1, nodes)]];
    const watch = await startPresenceWatch(context, cluster.node(0).address, storm.userIds);
    const there = await startPresenceWatch(context, cluster.node(2).address, otherIds);
    await delay(1_000);
    const fromMs = performance.now();
    cluster.node(2).freeze();
    const gone = await checkGone(watch, frozenIds, fromMs);
    violations.push(...gone.violations);
    await delay(Math.max(0, fromMs + pauseMs - performance.now()));
    cluster.node(2).thaw();
    const thawMs = performance.now();
    violations.push(...(await untilAllLive(storm)), ...(await checkBack(watch, storm.userIds)));
    const caughtUpMs = performance.now() - thawMs;
    await eventually(() => there.client.live, 30_000).catch(() => {});
    await delay(5_000);
    violations.push(...(await checkBack(there, otherIds)));
    const false0 = watch.offlineEvents(fromMs, otherIds);
    const false2 = there.offlineEvents(fromMs, otherIds);
    for (const [count, where] of [
      [false0, "another node"],
      [false2, "the node that was frozen"],
    ] as const) {
      if (count > 0)
        violations.push({
          rule: "I13",
          text: `${count} users of other nodes were shown offline on ${where}`,
        });
    }
    await Promise.all([watch.close(), there.close()]);
    violations.push(...(await context.conclude(cluster)));
    return {
      rounds: 1,
      violations,
      figure: `its users shown offline elsewhere after ${ms(Math.min(...gone.times))} to ${ms(Math.max(...gone.times))}; ${false0 + false2} users of others falsely shown offline; everybody there and shown so ${ms(caughtUpMs)} after it went on`,
    };
  },
});

const twoWriters = clusterFault({
  id: "C7",
  name: "two-writers",
  title: "two nodes write one conversation at 200 messages a second",
  figureTitle: "messages, seqs that are missing or double, delivery",
  ci: true,
  async run(context) {
    const cluster = await context.cluster({ nodes: 2 });
    const { random } = context;
    const members = Array.from({ length: 12 }, (_, n) => {
      const options = { address: cluster.node(n % 2).address, userId: `member-${n}` };
      return n < 8 ? new RawClient({ ...options, random }) : new SdkClient(options);
    });
    for (const member of members) {
      context.defer(() => member.close());
      await member.start();
    }
    const [owner] = members as [RawClient];
    const groupId = "both";
    const memberIds = members.map(({ userId }) => userId);
    await owner.perform({ f: "create-group", groupId, memberIds });

    const perSecond = 200;
    const seconds = context.scale(5, 20);
    const fromMs = performance.now();
    const underWay = new Set<Promise<unknown>>();
    let begun = 0;
    let done = 0;
    while (performance.now() - fromMs < seconds * 1_000) {
      for (; begun < ((performance.now() - fromMs) / 1_000) * perSecond && underWay.size < 400; begun++) {
        const clientMessageId = uuidv7();
        const body = `${bodyMarker} ${begun}`;
        const writer = members[begun % members.length] as RawClient | SdkClient;
        const sending = writer.perform({ f: "send", to: { groupId }, clientMessageId, body });
        underWay.add(sending);
        void sending.then(() => done++).finally(() => underWay.delete(sending));
      }
      await delay(5);
    }
    await Promise.all(underWay);
    const period = { fromMs, toMs: performance.now() };
    const last = `${bodyMarker} the last one`;
    await owner.perform({ f: "send", to: { groupId }, clientMessageId: uuidv7(), body: last });
    await eventually(() => members.every((member) => member.has(last)), 60_000).catch(() => {});
    for (const member of members) await member.close();
    const histories = members.map(({ history }) => history);
    const violations = await context.conclude(cluster, {
      histories,
      expectCaughtUp: histories.map(({ client }) => client),
    });
    const count = (rule: string) => violations.filter((violation) => violation.rule === rule).length;
    const times = deliveryTimes(histories, period);
    return {
      rounds: 1,
      violations,
      figure: `${done} messages in ${ms(period.toMs - fromMs)}; ${count("I3")} gaps or doubles, ${count("I4") + count("I5")} places out of order of ${times.length} deliveries, after p50 ${ms(percentile(times, 50))}, p99 ${ms(percentile(times, 99))}`,
    };
  },
});

const rollingRestart = clusterFault({
  id: "C9",
  name: "rolling-restart",
  title: "SIGTERM of three nodes in turn, each started again, under load",
  figureTitle: "errors that reach an application on the SDK, errors without the SDK",
  ci: false,
  async run(context) {
    const rounds = context.scale(1, 2);
    const violations: Violation[] = [];
    const cluster = await context.cluster({ args: ["--drain-grace-ms", "5000"] });
    const storm = await context.storm({
      ...{ address: cluster.addresses, sdk: 24, raw: 6, groups: 4, perSecond: 80 },
      // So that nothing is refused because of what others did.
      ...{ membership: false, settleMs: 90_000 },
    });
    const stops: number[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const node of cluster.servers) {
        await delay(1_500);
        const stopMs = performance.now();
        const how = await node.terminate();
        stops.push(performance.now() - stopMs);
        if (how !== 0) violations.push({ rule: "I15", text: `a node that was stopped ended with ${how}` });
        await delay(500);
        await node.start();
        violations.push(...(await untilAllLive(storm)));
      }
    }
    violations.push(...(await context.conclude(cluster)));
    let shown = 0;
    let raw = 0;
    for (const { kind, client, entries } of storm.histories) {
      for (const entry of entries) {
        if (entry.type !== "unknown" && entry.type !== "fail") continue;
        // Everybody writes to every group, and is in two of three.
        if (entry.error.reason === "NOT_A_MEMBER") continue;
        if (kind === "raw") raw++;
        else {
          shown++;
          const { code, reason, message } = entry.error;
          violations.push({ rule: "I14", text: `${client} was shown ${code} ${reason}: ${message}` });
        }
        if (entry.type === "fail" && kind === "raw")
          violations.push({ rule: "I14", text: `${client} was refused: ${entry.error.code}` });
      }
    }
    return {
      rounds: rounds * cluster.servers.length,
      violations,
      figure: `${shown} errors reached applications on the SDK, of ${storm.acknowledged} messages; without it ${raw} tries failed with UNAVAILABLE and were repeated; ${storm.reconnects} streams opened again; a node ended after p50 ${ms(percentile(stops, 50))}, max ${ms(percentile(stops, 100))}`,
    };
  },
});

const skewedClocks = clusterFault({
  id: "T2",
  name: "skewed-clocks",
  title: "three nodes whose clocks are 5 minutes apart",
  figureTitle: "users falsely shown offline, messages",
  ci: false,
  missing: missingClock,
  async run(context) {
    const offsets = ["-300s", "+0s", "+300s"];
    const clocks: Clock[] = offsets.map((offset) => {
      const clock = createClock();
      context.defer(() => clock.close());
      clock.setOffset(offset);
      return clock;
    });
    const cluster = await context.cluster({ optionsOf: (index) => ({ env: clocks[index]?.env ?? {} }) });
    const storm = await startSpreadStorm(context, cluster);
    const violations: Violation[] = [];
    const watches: PresenceWatch[] = [];
    for (const { address } of cluster.servers)
      watches.push(await startPresenceWatch(context, address, storm.userIds));
    const period = await during(context.scale(8_000, 25_000));
    let offline = 0;
    for (const watch of watches) offline += watch.offlineEvents(period.fromMs, storm.userIds);
    if (offline > 0)
      violations.push({ rule: "I13", text: `${offline} users were shown offline who never left` });

    // Who leaves one node is shown offline on all, in spite of what their clocks say.
    const killMs = performance.now();
    const leavers = pinnedTo(2, cluster.servers.length);
    await cluster.node(2).kill();
    const ghosts: number[] = [];
    for (const watch of watches.slice(0, 2)) {
      const gone = await checkGone(watch, leavers, killMs);
      violations.push(...gone.violations);
      ghosts.push(...gone.times);
    }
    await cluster.node(2).start();
    violations.push(...(await untilAllLive(storm)));
    for (const watch of watches) violations.push(...(await checkBack(watch, storm.userIds)));
    await Promise.all(watches.map((watch) => watch.close()));
    const answered = answeredIn(storm.histories, period);
    violations.push(...(await context.conclude(cluster)));
    return {
      rounds: 1,
      violations,
      figure: `${answered} operations answered in ${ms(period.toMs - period.fromMs)}; ${offline} users falsely shown offline; who went was shown offline after at most ${ms(percentile(ghosts, 100))}`,
    };
  },
});

/** Faults of nodes. */
export const nodeFaults: readonly Fault[] = [freezeNode, twoWriters, killNode, rollingRestart, skewedClocks];
