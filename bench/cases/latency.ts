import { setTimeout as delay } from "node:timers/promises";
import { type Case, type Context, sessionCount } from "../lib/context.ts";
import type { Row } from "../lib/row.ts";
import { median, percentile, round } from "../lib/statistics.ts";
import { DirectLoad } from "../load/direct.ts";
import { PacedLoad } from "../load/paced.ts";
import { directUsers } from "./direct-users.ts";

const maxP50Ms = 3;
const maxP99Ms = 15;
/** Half of what `direct-stream` has to reach, on whatever machine. */
const promisedPerSecond = 20_000;

/** How long messages take from their sender to their recipient: at half of what there can be, and of what is promised. */
export const latency: Case = {
  name: "latency",
  work: "100 users at half the load that direct-stream reaches: send → delivered, durable",
  async run(context) {
    const { server, users, failure, close } = await directUsers(context, sessionCount(context, 100, 10));
    try {
      const full = new DirectLoad(users, failure, 32);
      await full.run(context.seconds);
      const { units, seconds } = await full.run(context.seconds);
      const paced = new PacedLoad(users, failure);
      await server.startProfile();
      const rows = [await measure(context, paced, "latency", units / seconds / 2)];
      if (!context.quick) rows.push(await measure(context, paced, "latency/20,000", promisedPerSecond));
      return rows;
    } finally {
      await close();
    }
  },
};

async function measure(context: Context, paced: PacedLoad, name: string, perSecond: number): Promise<Row> {
  const runs: number[][] = [];
  for (let i = 0; i < context.pairs; i++)
    runs.push(await paced.run(perSecond, delay(context.seconds * 1000)));
  const p50 = median(runs.map((run) => percentile(run, 0.5)));
  const p99 = median(runs.map((run) => percentile(run, 0.99)));
  return {
    name,
    unit: "ms at the median",
    ours: round(p50),
    floor: null,
    ratio: null,
    ratio_min: null,
    ratio_max: null,
    target: `p50 ≤ ${maxP50Ms} ms, p99 ≤ ${maxP99Ms} ms`,
    met: p50 <= maxP50Ms && p99 <= maxP99Ms,
    pairs: context.pairs,
    per_second: round(perSecond),
    p50_ms: round(p50),
    p99_ms: round(p99),
  };
}
