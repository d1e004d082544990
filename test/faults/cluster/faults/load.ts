/** What several nodes carry, and whether days of real chat get through while parts fail. */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { v7 as uuidv7 } from "uuid";
import { connect, logIn } from "../../../support/connect.ts";
import { pick } from "../../../support/random.ts";
import { exitOf } from "../../../support/serve-child.ts";
import { text } from "../../../support/server.ts";
import type { Violation } from "../../checker/violation.ts";
import type { FaultContext } from "../../context.ts";
import type { Fault, Outcome } from "../../fault.ts";
import type { FaultCluster } from "../cluster.ts";
import { clusterFault } from "../cluster-fault.ts";

const main = fileURLToPath(new URL("../../../../src/main.ts", import.meta.url));

/** What sending as fast as possible came to. */
interface Throughput {
  perSecond: number;
  /** CPU time per send, in microseconds. */
  nodes: number;
  database: number;
  load: number;
}

const sendersPerNode = 64;

/** Sends without pause over the first nodes of a service. */
async function measure(cluster: FaultCluster, nodes: number, forMs: number): Promise<Throughput> {
  const servers = cluster.servers.slice(0, nodes);
  const connections = await Promise.all(
    servers.map(async ({ address }, index) => {
      const [token] = await logIn(address, [`sender-${index}`]);
      return connect(address, token);
    }),
  );
  let sent = 0;
  let over = false;
  const send = async (index: number): Promise<void> => {
    const { chat } = connections[index % nodes] as (typeof connections)[0];
    for (let n = 0; !over; n++) {
      const recipientId = `recipient-${index}-${n % 50}`;
      await chat.sendDirect({ recipientId, content: text("hello"), clientMessageId: uuidv7() });
      sent++;
    }
  };
  const senders = Array.from({ length: sendersPerNode * 2 }, (_, index) => send(index));
  await delay(1_000);
  const cpu = () => ({
    nodes: servers.reduce((sum, server) => sum + server.cpuMs(), 0),
    database: cluster.postgresCpuMs(),
    load: process.cpuUsage().user / 1_000 + process.cpuUsage().system / 1_000,
  });
  const [before, sentBefore, fromMs] = [cpu(), sent, performance.now()];
  await delay(forMs);
  const [after, count, tookMs] = [cpu(), sent - sentBefore, performance.now() - fromMs];
  over = true;
  await Promise.all(senders);
  for (const { close } of connections) close();
  const each = (part: keyof typeof before) => ((after[part] - before[part]) * 1_000) / count;
  return {
    perSecond: (count * 1_000) / tookMs,
    nodes: each("nodes"),
    database: each("database"),
    load: each("load"),
  };
}

const scaling = clusterFault({
  id: "L1",
  name: "scaling",
  title: "sends as fast as they are answered, by one node and by two, with 128 under way",
  figureTitle: "sends per second, CPU per send of nodes, PostgreSQL and load",
  ci: false,
  async run(context) {
    const cluster = await context.cluster({ nodes: 2 });
    const results: Record<1 | 2, Throughput[]> = { 1: [], 2: [] };
    const rounds = context.scale(1, 3);
    for (let round = 0; round < rounds; round++) {
      for (const nodes of [1, 2] as const)
        results[nodes].push(await measure(cluster, nodes, context.scale(3_000, 5_000)));
    }
    const best = (all: Throughput[]) => all.reduce((a, b) => (b.perSecond > a.perSecond ? b : a));
    const [one, two] = [best(results[1]), best(results[2])];
    const words = ({ perSecond, nodes, database, load }: Throughput) =>
      `${Math.round(perSecond)} sends/s at ${Math.round(nodes)} µs of CPU in nodes, ${Math.round(database)} in PostgreSQL, ${Math.round(load)} in the load`;
    const cores = (two.perSecond * (two.nodes + two.database + two.load)) / 1e6;
    // No promise is at stake: on a machine that everything shares, the processors are the limit.
    return {
      rounds,
      violations: await context.conclude(cluster, { othersSend: true }),
      figure: `one node ${words(one)}; two ${words(two)}: ${(two.perSecond / one.perSecond).toFixed(2)} times as many, with ${cores.toFixed(1)} processors busy, which all of it shares`,
    };
  },
});

/** Writes a day of talk: users come, go, change names and speak, also to each other. */
function writeDay(random: () => number, file: string, lines: number, users: number): void {
  const nicks = Array.from({ length: users }, (_, n) => `nick${n}`);
  const written = Array.from({ length: lines }, (_, n) => {
    const minute = Math.floor((n * 1_440) / lines);
    const time = [Math.floor(minute / 60), minute % 60]
      .map((part) => String(part).padStart(2, "0"))
      .join(":");
    const nick = pick(random, nicks);
    const choice = random();
    if (choice < 0.04) return `=== ${nick} [~n@host] has left #day []`;
    if (choice < 0.08) return `=== ${nick} [~n@host] has joined #day`;
    const to = choice < 0.3 ? `${pick(random, nicks)}: ` : "";
    return `[${time}] <${nick}> ${to}line ${n}`;
  });
  writeFileSync(file, written.join("\n"));
}

/** What can happen to a service while a day is lived. */
function disturbancesOf(context: FaultContext, cluster: FaultCluster): Record<string, () => Promise<void>> {
  const anyNode = () => pick(context.random, cluster.servers);
  return {
    async "kill -9 of a node"() {
      const node = anyNode();
      await node.kill();
      await delay(500);
      await node.start();
    },
    async "NATS killed for 15 s"() {
      await cluster.nats.kill();
      await delay(15_000);
      await cluster.nats.start();
    },
    async "PostgreSQL stopped as by a crash"() {
      await cluster.postgres.stop(true);
      await delay(2_000);
      await cluster.postgres.start();
    },
    async "a node frozen for 5 s"() {
      const node = anyNode();
      node.freeze();
      await delay(5_000);
      node.thaw();
    },
    async "SIGTERM of a node"() {
      const node = anyNode();
      await node.terminate();
      await node.start();
    },
  };
}

/** Has a day lived through a service, and judges what came of it. */
async function liveDay(context: FaultContext, disturbed: boolean): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "parlance-day-"));
  context.defer(() => rmSync(folder, { recursive: true, force: true }));
  const day = join(folder, "2001-02-03.txt");
  writeDay(context.random, day, context.scale(1_500, 6_000), 60);
  const failPoints = disturbed ? "bus.receive=drop%10" : "";
  const cluster = await context.cluster({ optionsOf: () => ({ failPoints }) });
  const args = [main, "replay", "--json", "--silence", "60", "--address", cluster.addresses.join(","), day];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  context.defer(() => void child.kill("SIGKILL"));
  const replayed = Promise.all([textOf(child.stdout), textOf(child.stderr), exitOf(child)]);
  let over = false;
  void replayed.finally(() => {
    over = true;
  });
  const disturbances = disturbancesOf(context, cluster);
  const names = Object.keys(disturbances);
  const done: string[] = [];
  await Promise.race([replayed, delay(3_000)]);
  while (disturbed && !over) {
    // Each once, and then any.
    const name = names[done.length] ?? pick(context.random, names);
    context.say(name);
    await disturbances[name]?.();
    done.push(name);
    await Promise.race([replayed, context.pause(1_000, 4_000)]);
  }
  const [stdout, stderr, how] = await replayed;
  const violations: Violation[] = [];
  const report = stdout === "" ? undefined : JSON.parse(stdout);
  const bad = { missing: "I6", duplicated: "I5", out_of_order: "I5", content_mismatches: "I4" } as const;
  for (const [name, rule] of Object.entries(bad)) {
    if (report?.[name] > 0) violations.push({ rule, text: `${report[name]} deliveries ${name}` });
  }
  if (how !== 0) violations.push({ rule: "I12", text: `replay ended with ${how}: ${stderr.slice(-2_000)}` });
  violations.push(...(await context.conclude(cluster, { othersSend: true })));
  const what = disturbed ? `${done.length} disturbances` : "nothing disturbed";
  return {
    rounds: Math.max(1, done.length),
    violations,
    figure: `${report?.deliveries_received} of ${report?.deliveries_expected} deliveries; ${report?.missing} missing, ${report?.duplicated} duplicated, ${report?.out_of_order} out of order, ${report?.content_mismatches} mismatched; ${what} in ${report?.elapsed_seconds} s`,
  };
}

const spreadDay = clusterFault({
  id: "C11",
  name: "spread-day",
  title: "`parlance replay` of a day of 60 users spread over three nodes",
  figureTitle: "missing, duplicated, out of order, mismatched",
  ci: false,
  run: (context) => liveDay(context, false),
});

const disturbedDay = clusterFault({
  id: "C12",
  name: "disturbed-day",
  title:
    "the same while nodes are killed, frozen and stopped, NATS is killed for 15 s and PostgreSQL is stopped, at random, and each node loses 10 % of what comes over the bus",
  figureTitle: "missing, duplicated, out of order, mismatched; disturbances",
  ci: false,
  run: (context) => liveDay(context, true),
});

/** Load, and days of talk. */
export const loadFaults: readonly Fault[] = [spreadDay, disturbedDay, scaling];
