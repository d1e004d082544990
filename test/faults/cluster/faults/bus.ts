/** Faults of what lies between nodes. */

import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../../support/eventually.ts";
import type { Violation } from "../../checker/violation.ts";
import type { FaultContext } from "../../context.ts";
import type { Fault, Outcome } from "../../fault.ts";
import { ms, percentile } from "../../figures.ts";
import { type PresenceWatch, startPresenceWatch } from "../../presence-watch.ts";
import type { Storm } from "../../storm.ts";
import { deliveryTimes, type Period } from "../../timings.ts";
import type { FaultCluster } from "../cluster.ts";
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

/** How nodes are cut off from the bus. */
interface Cut {
  cut: () => Promise<void>;
  mend: () => Promise<void>;
  /** Whether one node is, and the others hear each other: they cannot tell it from a dead one. */
  apart?: boolean;
}

/** Cuts nodes off from the bus and judges what came of it. */
async function cutBus(
  context: FaultContext,
  cluster: FaultCluster,
  { cut, mend, apart = false }: Cut,
): Promise<Outcome> {
  const rounds = context.scale(1, 2);
  const cutMs = context.scale(5_000, 15_000);
  const violations: Violation[] = [];
  const storm = await startSpreadStorm(context, cluster);
  const watch = await startPresenceWatch(context, cluster.node(0).address, storm.userIds);
  const before = await during(3_000);
  const times: string[] = [];
  let answered = 0;
  let offline = 0;
  for (let round = 0; round < rounds; round++) {
    await cut();
    const meanwhile = await during(cutMs);
    await mend();
    await delay(3_000);
    const { histories } = storm;
    answered += answeredIn(histories, meanwhile);
    if (answeredIn(histories, meanwhile) === 0)
      violations.push({ rule: "I12", text: "nothing was answered while the bus was cut off" });
    violations.push(...checkDelivered(storm, meanwhile));
    const nodes = cluster.servers.length;
    const expected = apart ? [...pinnedTo(0, nodes), ...pinnedTo(1, nodes)] : storm.userIds;
    offline += watch.offlineEvents(meanwhile.fromMs, expected);
    violations.push(...(await checkBack(watch, storm, meanwhile.toMs)));
    const delivered = deliveryTimes(histories, meanwhile);
    times.push(`p50 ${ms(percentile(delivered, 50))}, p99 ${ms(percentile(delivered, 99))}`);
  }
  if (offline > 0)
    violations.push({ rule: "I13", text: `${offline} users were shown offline who never left` });
  const usual = deliveryTimes(storm.histories, before);
  await watch.close();
  violations.push(...(await untilAllLive(storm)));
  // In the quiet after a storm no later event tells a node that it lacks one: it has to look by itself.
  await cut();
  violations.push(...(await storm.settle()));
  await mend();
  violations.push(...(await context.conclude(cluster)));
  return {
    rounds,
    violations,
    figure: `cut off for ${ms(cutMs)}: ${answered} operations answered meanwhile; delivered after p50 ${ms(percentile(usual, 50))}, p99 ${ms(percentile(usual, 99))} before, ${times.join("; ")} meanwhile; ${offline} users falsely shown offline; ${storm.reconnects} reconnects`,
  };
}

/** Messages come to users of other nodes without the bus, too. */
function checkDelivered(storm: Storm, { fromMs, toMs }: Period): Violation[] {
  const senders = new Map<string, string>();
  for (const { userId, entries } of storm.histories) {
    for (const entry of entries) {
      if (entry.type === "invoke" && entry.operation.f === "send" && entry.atMs >= fromMs)
        senders.set(entry.operation.clientMessageId, userId);
    }
  }
  // A second before the end, whoever asks the store now and then has asked.
  const late = storm.clients.filter(
    ({ userId, history: { entries } }) =>
      !entries.some(
        (entry) =>
          (entry.type === "event" || entry.type === "shown") &&
          entry.atMs < toMs &&
          ![undefined, userId].includes(senders.get(entry.event.clientMessageId ?? "")),
      ),
  );
  // Few messages are for any one of them, so some may have got none.
  return late.length <= storm.clients.length / 2
    ? []
    : [
        {
          rule: "I12",
          text: `while the bus was cut off, ${late.length} of ${storm.clients.length} clients got no message of others`,
        },
      ];
}

/** Everybody is shown online again once nodes hear each other, and stays so. */
async function checkBack(watch: PresenceWatch, storm: Storm, sinceMs: number): Promise<Violation[]> {
  const away = () => storm.userIds.filter((userId) => watch.shown(userId) !== true);
  await eventually(() => away().length === 0, Math.max(0, sinceMs + presenceMs - performance.now())).catch(
    () => {},
  );
  return away().map((userId) => ({
    rule: "I13",
    text: `${userId} is shown offline ${ms(performance.now() - sinceMs)} after nodes heard each other again`,
  }));
}

function checkPresence(watch: PresenceWatch, storm: Storm, fromMs: number): Violation[] {
  return storm.userIds
    .filter((userId) => watch.longest(userId, false, fromMs) > presenceMs)
    .map((userId) => ({
      rule: "I13",
      text: `${userId} was shown offline for ${ms(watch.longest(userId, false, fromMs))} while there`,
    }));
}

const natsDown = clusterFault({
  id: "C1",
  name: "nats-down",
  title: "`kill -9` of NATS, started again after 15 s",
  figureTitle: "operations answered meanwhile, delivery before and meanwhile",
  ci: true,
  async run(context) {
    const cluster = await context.cluster();
    const { nats } = cluster;
    return cutBus(context, cluster, { cut: () => nats.kill(), mend: () => nats.start() });
  },
});

const cutFromNats = clusterFault({
  id: "C2",
  name: "cut-from-nats",
  title: "one of three nodes is cut off from NATS for 15 s; until it is back, others show its users offline",
  figureTitle: "operations answered meanwhile, delivery before and meanwhile",
  ci: false,
  async run(context) {
    const cluster = await context.cluster({ proxied: "nats" });
    const way = cluster.proxies[2];
    if (way === undefined) throw new Error("there is no proxy");
    return cutBus(context, cluster, {
      apart: true,
      async cut() {
        await way.refuse(true);
        way.resetAll();
      },
      mend: () => way.refuse(false),
    });
  },
});

const dropMessages = clusterFault({
  id: "C5",
  name: "bus-drops",
  title: "every node loses 10 % of what comes over the bus",
  figureTitle: "delivery, users falsely shown offline",
  ci: true,
  async run(context) {
    const cluster = await context.cluster({ optionsOf: () => ({ failPoints: "bus.receive=drop%10" }) });
    const storm = await startSpreadStorm(context, cluster);
    const watch = await startPresenceWatch(context, cluster.node(0).address, storm.userIds);
    const period = await during(context.scale(8_000, 30_000));
    const violations = checkPresence(watch, storm, period.fromMs);
    const offline = watch.offlineEvents(period.fromMs, storm.userIds);
    await watch.close();
    violations.push(...(await context.conclude(cluster)));
    const times = deliveryTimes(storm.histories, period);
    return {
      rounds: 1,
      violations,
      figure: `${times.length} deliveries of ${storm.acknowledged} messages after p50 ${ms(percentile(times, 50))}, p99 ${ms(percentile(times, 99))}, max ${ms(percentile(times, 100))}; ${offline} users shown offline for less than 15 s by lost words`,
    };
  },
});

/** Faults of the bus between nodes. */
export const busFaults: readonly Fault[] = [natsDown, cutFromNats, dropMessages];
