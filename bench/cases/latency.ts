import { setTimeout as delay } from "node:timers/promises";
import { type Case, sessionCount } from "../lib/context.ts";
import { median, percentile, round } from "../lib/statistics.ts";
import { DirectLoad } from "../load/direct.ts";
import { PacedLoad } from "../load/paced.ts";
import { directUsers } from "./direct-users.ts";

const maxP50Ms = 3;
const maxP99Ms = 15;

/** How long messages take from their sender to their recipient while the server is half busy. */
export const latency: Case = {
  name: "latency",
  work: "100 users at half the load that direct-stream reaches: send → delivered, durable",
  async run(context) {
    const { server, users, failure, close } = await directUsers(context, sessionCount(context, 100, 10));
    try {
      const full = new DirectLoad(users, failure, 32);
      await full.run(context.seconds);
      const { units, seconds } = await full.run(context.seconds);
      const perSecond = units / seconds / 2;
      const paced = new PacedLoad(users, failure);
      const runs: number[][] = [];
      await server.startProfile();
      for (let i = 0; i < context.pairs; i++)
        runs.push(await paced.run(perSecond, delay(context.seconds * 1000)));
      const p50 = median(runs.map((run) => percentile(run, 0.5)));
      const p99 = median(runs.map((run) => percentile(run, 0.99)));
      const row = {
        name: "latency",
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
      return [row];
    } finally {
      await close();
    }
  },
};
