/** Faults of the database that all nodes share. */

import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { eventually } from "../../../support/eventually.ts";
import type { Violation } from "../../checker/violation.ts";
import type { FaultContext } from "../../context.ts";
import type { Fault, Outcome } from "../../fault.ts";
import { ms, percentile } from "../../figures.ts";
import { type HealthWatch, watchHealth } from "../../health-watch.ts";
import type { FaultServer } from "../../server.ts";
import type { Storm } from "../../storm.ts";
import type { Period } from "../../timings.ts";
import type { FaultCluster } from "../cluster.ts";
import {
  answeredIn,
  clusterFault,
  failedIn,
  startSpreadStorm,
  untilAllLive,
  untilAnswered,
} from "../cluster-fault.ts";

const unavailable = "STORE_UNAVAILABLE";
/** Within this time health says that the store cannot write. */
const healthMs = 20_000;
/** Within this time everything works again. */
const recoveryMs = 30_000;

/** How a database is broken for a while. */
interface Breaking {
  break: () => Promise<void> | void;
  mend: () => Promise<void> | void;
  /** How long it stays broken. */
  forMs: number;
  /** How often. */
  rounds: number;
  /** The nodes that notice; by default all. */
  nodes?: readonly FaultServer[];
  /** Whether it is so broken that nothing can be stored and health has to say so. Default: true. */
  stopsAll?: boolean;
}

/** Breaks the database under a storm, mends it, and judges what came of it. */
async function breakDatabase(
  context: FaultContext,
  cluster: FaultCluster,
  { break: breakIt, mend, forMs, rounds, nodes = cluster.servers, stopsAll = true }: Breaking,
): Promise<Outcome> {
  const violations: Violation[] = [];
  const storm = await startSpreadStorm(context, cluster);
  const watches = nodes.map(({ address }) => watchHealth(context, address));
  const recoveries: number[] = [];
  const unserving: number[] = [];
  let answered = 0;
  let refused = 0;
  let longestMs = 0;
  await delay(1_500);
  for (let round = 0; round < rounds; round++) {
    const breakMs = performance.now();
    await breakIt();
    const fromMs = performance.now();
    if (stopsAll) unserving.push(...(await untilServing(watches, false, healthMs, violations)));
    await delay(Math.max(0, breakMs + forMs - performance.now()));
    const toMs = performance.now();
    await mend();
    const mendMs = performance.now();
    const period = { fromMs, toMs };
    if (cluster.servers.length === nodes.length && stopsAll) answered += storedIn(storm, period);
    refused += failedIn(storm.histories, { fromMs, toMs: mendMs }, unavailable);
    longestMs = Math.max(longestMs, longestTry(storm, { fromMs, toMs: mendMs }));
    const answeredMs = await untilAnswered(storm, mendMs);
    if (answeredMs === undefined)
      violations.push({ rule: "I12", text: "nothing was answered after the database was mended" });
    else recoveries.push(answeredMs);
    await untilServing(watches, true, recoveryMs, violations);
    violations.push(...(await untilAllLive(storm)));
    await delay(500);
  }
  if (answered > 0)
    violations.push({
      rule: "I1",
      text: `${answered} operations were answered while nothing could be stored`,
    });
  if (stopsAll && refused === 0)
    violations.push({ rule: "I14", text: `nothing was refused with ${unavailable}` });
  violations.push(...(await context.conclude(cluster)));
  const health = stopsAll ? `; NOT_SERVING after at most ${ms(percentile(unserving, 100))}` : "";
  return {
    rounds,
    violations,
    figure: `${storm.acknowledged} messages answered, none of them lost; ${refused} tries refused with ${unavailable}, a try that failed took at most ${ms(longestMs)}, of 8 s that clients wait${health}; answers again ${ms(percentile(recoveries, 100))} after mending at most, without a restart`,
  };
}

/** Waits until health says what is the case, on every node. */
async function untilServing(
  watches: readonly HealthWatch[],
  serving: boolean,
  timeoutMs: number,
  violations: Violation[],
): Promise<number[]> {
  const times = await Promise.all(watches.map((watch) => watch.until(serving, timeoutMs)));
  return times.flatMap((time, index) => {
    if (time !== undefined) return [time];
    const says = serving ? "SERVING" : "NOT_SERVING";
    violations.push({
      rule: serving ? "I12" : "I14",
      text: `health of node ${index + 1} of ${watches.length} did not say ${says} within ${ms(timeoutMs)}`,
    });
    return [];
  });
}

/** How many messages that were sent in a period were answered in it, as stored for the first time. */
function storedIn({ histories }: Storm, { fromMs, toMs }: Period): number {
  let count = 0;
  for (const { entries } of histories) {
    const begun = new Set<number>();
    for (const entry of entries) {
      if (entry.atMs < fromMs || entry.atMs >= toMs) continue;
      if (entry.type === "invoke") begun.add(entry.op);
      else if (entry.type === "ok" && entry.duplicate === false && begun.has(entry.op)) count++;
    }
  }
  return count;
}

/** The longest that a try without the SDK, which tries again by itself, took to be refused. */
function longestTry({ histories }: Storm, { fromMs, toMs }: Period): number {
  let longest = 0;
  for (const { kind, entries } of histories) {
    if (kind !== "raw") continue;
    const begun = new Map<number, number>();
    for (const entry of entries) {
      if (entry.type !== "invoke" && entry.type !== "unknown") continue;
      const since = begun.get(entry.op);
      begun.set(entry.op, entry.atMs);
      if (entry.type === "unknown" && since !== undefined && since >= fromMs && entry.atMs < toMs)
        longest = Math.max(longest, entry.atMs - since);
    }
  }
  return longest;
}

const stopDatabase = clusterFault({
  id: "S10",
  name: "postgres-stop",
  title: "PostgreSQL is stopped as by a crash, and started again",
  figureTitle: "refused tries, time until answers come again",
  ci: true,
  async run(context) {
    const cluster = await context.cluster();
    return breakDatabase(context, cluster, {
      break: () => cluster.postgres.stop(true),
      mend: () => cluster.postgres.start(),
      forMs: context.scale(3_000, 6_000),
      rounds: context.scale(1, 3),
    });
  },
});

const cutFromDatabase = clusterFault({
  id: "C6",
  name: "cut-from-postgres",
  title: "one of three nodes is cut off from PostgreSQL with clients connected",
  figureTitle: "refused tries, health, time until answers come again",
  ci: false,
  async run(context) {
    const cluster = await context.cluster({ proxied: "postgres" });
    const way = cluster.proxies[2];
    if (way === undefined) throw new Error("there is no proxy");
    return breakDatabase(context, cluster, {
      async break() {
        await way.refuse(true);
        way.resetAll();
      },
      mend: () => way.refuse(false),
      forMs: 12_000,
      rounds: context.scale(1, 2),
      nodes: [cluster.node(2)],
    });
  },
});

const freezeDatabase = clusterFault({
  id: "S13",
  name: "postgres-freeze",
  title: "SIGSTOP of PostgreSQL for 20 s",
  figureTitle: "refused tries, the longest wait for a refusal, time until answers come again",
  ci: false,
  async run(context) {
    const cluster = await context.cluster();
    context.defer(() => cluster.signalPostgres("SIGCONT"));
    return breakDatabase(context, cluster, {
      break: () => cluster.signalPostgres("SIGSTOP"),
      mend: () => cluster.signalPostgres("SIGCONT"),
      forMs: 20_000,
      rounds: 1,
    });
  },
});

const lockTable = clusterFault({
  id: "S13b",
  name: "postgres-lock",
  title: "another session holds a lock on the end of the log for 12 s",
  figureTitle: "refused tries, the longest wait for a refusal, time until answers come again",
  ci: false,
  async run(context) {
    const cluster = await context.cluster();
    let other: pg.Client | undefined;
    context.defer(() => other?.end());
    return breakDatabase(context, cluster, {
      async break() {
        other = await connectTo(cluster.databaseUrl);
        await other.query("BEGIN");
        await other.query("LOCK TABLE parlance.log_head IN ACCESS EXCLUSIVE MODE");
      },
      async mend() {
        await other?.end();
        other = undefined;
      },
      forMs: 12_000,
      rounds: context.scale(1, 2),
    });
  },
});

const endBackends = clusterFault({
  id: "S11",
  name: "terminate-backends",
  title: "`pg_terminate_backend` of some of the nodes' connections every 200 ms",
  figureTitle: "connections ended, tries that failed",
  ci: false,
  async run(context) {
    const cluster = await context.cluster();
    const storm = await startSpreadStorm(context, cluster);
    const admin = await connectTo(cluster.postgres.urlOf("postgres"));
    context.defer(() => admin.end());
    const database = new URL(cluster.databaseUrl).pathname.slice(1);
    const fromMs = performance.now();
    const forMs = context.scale(5_000, 20_000);
    let ended = 0;
    while (performance.now() < fromMs + forMs) {
      const { rowCount } = await admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 ORDER BY random() LIMIT 3`,
        [database],
      );
      ended += rowCount ?? 0;
      await delay(200);
    }
    const period = { fromMs, toMs: performance.now() };
    const violations = await untilAllLive(storm);
    violations.push(...(await context.conclude(cluster)));
    const answered = answeredIn(storm.histories, period);
    if (answered === 0) violations.push({ rule: "I12", text: "nothing was answered meanwhile" });
    return {
      rounds: ended,
      violations,
      figure: `${ended} connections ended; ${answered} operations answered meanwhile, ${failedIn(storm.histories, period)} tries failed and were repeated, none twice in the log`,
    };
  },
});

const noConnections = clusterFault({
  id: "S14",
  name: "postgres-full",
  title: "others take all but a few of PostgreSQL's connections for a while",
  figureTitle: "answered and refused meanwhile, time until all is as before",
  ci: false,
  async run(context) {
    const maxConnections = 40;
    const cluster = await context.cluster({ postgresSettings: { max_connections: maxConnections } });
    const hogs = new Set<pg.Client>();
    const letGo = async () => {
      await Promise.all([...hogs].map((hog) => hog.end()));
      hogs.clear();
    };
    context.defer(letGo);
    const database = new URL(cluster.databaseUrl).pathname.slice(1);
    return breakDatabase(context, cluster, {
      async break() {
        const admin = await connectTo(cluster.postgres.urlOf("postgres"));
        hogs.add(admin);
        const untilMs = performance.now() + 15_000;
        while (hogs.size < maxConnections - 4 && performance.now() < untilMs) {
          await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, [
            database,
          ]);
          const more = Array.from({ length: 8 }, () => connectTo(cluster.postgres.urlOf("postgres")));
          for (const each of await Promise.allSettled(more))
            if (each.status === "fulfilled") hogs.add(each.value);
        }
      },
      mend: letGo,
      forMs: 12_000,
      rounds: 1,
      stopsAll: false,
    });
  },
});

/** How a replica takes over. */
interface Failover {
  /** Whether it has everything. */
  lossless: boolean;
  /** Whether messages of before reach the other half of the nodes after it. */
  routed?: boolean;
}

/** Leads all nodes to a replica that takes over. */
async function failOver(context: FaultContext, { lossless, routed = false }: Failover): Promise<Outcome> {
  const args = lossless ? ["--database-failover", "lossless"] : [];
  const cluster = await context.cluster({ proxied: "postgres", args, routed });
  const primary = cluster.postgres;
  const standby = await primary.createStandby();
  context.defer(() => standby.close());
  const admin = primary.urlOf("postgres");
  const follows = async (state: string) => {
    const rows = await primary.query(admin, "SELECT sync_state FROM pg_stat_replication");
    return rows.some((row) => row["sync_state"] === state);
  };
  if (lossless) {
    await primary.query(admin, "ALTER SYSTEM SET synchronous_standby_names = '*'");
    await primary.query(admin, "SELECT pg_reload_conf()");
  }
  await eventually(() => follows(lossless ? "sync" : "async"), 20_000);

  const violations: Violation[] = [];
  const storm = await startSpreadStorm(context, cluster);
  await delay(3_000);
  if (!lossless) {
    // What is committed from here on, the replica lacks.
    await standby.stop();
    if (routed)
      for (const direction of ["up", "down"] as const) cluster.route.set(direction, { stall: true });
    // So much that the new log is not beyond it when the route goes on.
    await delay(routed ? 5_000 : 1_000);
  }
  const before = storm.acknowledged;
  const ends = lossless ? [] : cluster.servers.map((node) => restartOnce(node, violations));
  const breakMs = performance.now();
  await primary.stop(true);
  if (!lossless) await standby.start();
  await standby.promote();
  for (const proxy of cluster.proxies) proxy.setTarget(`127.0.0.1:${standby.port}`);
  cluster.database = standby;
  for (const proxy of cluster.proxies) proxy.resetAll();
  await Promise.all(ends);
  const heldBytes = routed ? cluster.route.bytes.up + cluster.route.bytes.down : 0;
  if (routed) cluster.route.clear();
  const answeredMs = await untilAnswered(storm, breakMs, 90_000);
  if (answeredMs === undefined)
    violations.push({ rule: "I12", text: "nothing was answered after the failover" });
  violations.push(...(await untilAllLive(storm)));
  await delay(2_000);
  const resets = countResets(storm);
  const lateBytes = routed ? cluster.route.bytes.up + cluster.route.bytes.down - heldBytes : 0;
  if (!lossless && resets === 0)
    violations.push({ rule: "I7", text: "no client was told that its cursor is of another epoch" });
  if (lossless && resets > 0)
    violations.push({
      rule: "I7",
      text: `${resets} clients were told to start over though nothing was lost`,
    });
  violations.push(
    ...(await context.conclude(cluster, {
      restored: !lossless,
      ...(!lossless && { saidToPeople: /^parlance: the database was put back to an earlier state/ }),
    })),
  );
  const stale = routed
    ? `; ${Math.round(lateBytes / 1024)} KiB came over the route after it; ${count(cluster, "a message of another epoch")} nodes dropped what was of before`
    : "";
  if (routed && count(cluster, "a message of another epoch") === 0)
    violations.push({ rule: "run", text: "no node got anything of before the failover" });
  return {
    rounds: 1,
    violations,
    figure: lossless
      ? `0 of ${before} messages answered before are lost; answers again after ${ms(answeredMs ?? 0)}, no node restarted, ${resets} clients told to start over`
      : `every node ended with 75 and was started again; answers again after ${ms(answeredMs ?? 0)}; ${resets} of ${storm.histories.length} clients told to start over${stale}`,
  };
}

/** How many nodes have logged a line with this text. */
function count({ servers }: FaultCluster, text: string): number {
  return servers.filter(({ log }) => log.includes(text)).length;
}

/** Starts a node again when it has ended because the database is another one. */
async function restartOnce(node: FaultServer, violations: Violation[]): Promise<void> {
  node.expectExit();
  await Promise.race([node.exited, delay(60_000, undefined, { ref: false })]);
  if (node.running) {
    violations.push({ rule: "I12", text: "a node did not notice that the database is another one" });
    return;
  }
  const how = node.exits.at(-1)?.how;
  if (how !== 75) violations.push({ rule: "I15", text: `a node ended with ${how} instead of 75` });
  await node.start();
}

/** How many clients learned that the log is another one. */
function countResets(storm: Storm): number {
  return storm.histories.filter(({ entries }) =>
    entries.some(
      (entry) =>
        (entry.type === "end" && entry.closed === "RESET") ||
        (entry.type === "error" &&
          ["CURSOR_OF_ANOTHER_EPOCH", "CURSOR_IN_FUTURE"].includes(entry.error.reason)),
    ),
  ).length;
}

const failOverLossless = clusterFault({
  id: "S12",
  name: "failover-lossless",
  title: "the primary dies; a synchronous replica takes over",
  figureTitle: "messages lost, time until answers come again",
  ci: false,
  run: (context) => failOver(context, { lossless: true }),
});

const failOverNewEpoch = clusterFault({
  id: "S12b",
  name: "failover-new-epoch",
  title: "the primary dies; a replica that lacks the last commits takes over",
  figureTitle: "clients told to start over, time until answers come again",
  ci: false,
  run: (context) => failOver(context, { lossless: false }),
});

const failOverStaleRoute = clusterFault({
  id: "S12c",
  name: "failover-stale-route",
  title:
    "as before, while the route between the NATS servers of the nodes is held up: what was said of lost commits arrives after it",
  figureTitle: "clients told to start over, nodes that dropped what was of before",
  ci: false,
  run: (context) => failOver(context, { lossless: false, routed: true }),
});

async function connectTo(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** Faults of the database. */
export const databaseFaults: readonly Fault[] = [
  stopDatabase,
  endBackends,
  failOverLossless,
  failOverNewEpoch,
  failOverStaleRoute,
  freezeDatabase,
  lockTable,
  noConnections,
  cutFromDatabase,
];
