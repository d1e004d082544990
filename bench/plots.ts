/** What `npm run bench -- plots` measures and draws. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { directUsers } from "./cases/direct-users.ts";
import { grpcFanOut, parlanceFanOut } from "./cases/fan-out-sides.ts";
import { type Chart, chartSvg, type Series } from "./lib/chart.ts";
import type { Context } from "./lib/context.ts";
import { cpuUs } from "./lib/process-usage.ts";
import { type Side, sampleCpu } from "./lib/side.ts";
import { median } from "./lib/statistics.ts";
import { DirectLoad } from "./load/direct.ts";
import { PacedLoad } from "./load/paced.ts";

/** How many messages to a group are under way. */
const window = 100;
/** Loads, as shares of the highest. */
const shares = [0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8];

/** Measures and writes the plots; returns their files. */
export async function makePlots(context: Context, folder: string): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const charts: Array<[string, () => Promise<Chart>]> = [
    ["deliveries-by-group-size.svg", () => deliveriesByGroupSize(context)],
    ["cpu-by-load.svg", () => cpuByLoad(context)],
  ];
  const files: string[] = [];
  for (const [name, make] of charts) {
    context.progress(`${name} …`);
    const file = join(folder, name);
    writeFileSync(file, chartSvg(await make()));
    files.push(file);
  }
  return files;
}

async function deliveriesByGroupSize(context: Context): Promise<Chart> {
  const sizes = context.quick ? [5, 20] : [10, 30, 100, 300, 1_000, 3_000];
  const ours: Series["points"][number][] = [];
  const floor: Series["points"][number][] = [];
  for (const connected of sizes) {
    context.progress(`${connected} members`);
    const size = { connected, window };
    ours.push({ x: connected, y: await deliveriesPerSecond(context, await parlanceFanOut(context, size)) });
    floor.push({ x: connected, y: await deliveriesPerSecond(context, await grpcFanOut(size)) });
  }
  return {
    title: "Deliveries per second, messages as fast as they go",
    xLabel: "members of the group, all connected",
    yLabel: "deliveries per second",
    series: [
      { name: "Parlance, durable", points: ours },
      { name: "bare grpc-js, nothing stored", points: floor },
    ],
  };
}

async function deliveriesPerSecond({ pairs, seconds }: Context, side: Side): Promise<number> {
  try {
    await side.run(seconds);
    const rates: number[] = [];
    for (let i = 0; i < pairs; i++) rates.push((await sampleCpu(side, seconds)).perSecond ?? 0);
    return median(rates);
  } finally {
    await side.close();
  }
}

async function cpuByLoad(context: Context): Promise<Chart> {
  const { server, users, failure, close } = await directUsers(context, context.quick ? 10 : 100);
  try {
    const full = new DirectLoad(users, failure, 32);
    await full.run(context.seconds);
    const { units, seconds } = await full.run(context.seconds);
    const paced = new PacedLoad(users, failure);
    const points: Series["points"][number][] = [];
    for (const share of shares) {
      const perSecond = Math.round((share * units) / seconds);
      const costs: number[] = [];
      for (let i = 0; i < context.pairs; i++) {
        const beforeUs = cpuUs(server.pid);
        const delivered = await paced.run(perSecond, delay(context.seconds * 1000));
        costs.push((cpuUs(server.pid) - beforeUs) / delivered.length);
      }
      points.push({ x: perSecond, y: median(costs) });
    }
    return {
      title: "CPU time of the server per direct message: stored, answered, delivered",
      xLabel: "messages per second",
      yLabel: "µs of CPU per message",
      series: [{ name: "Parlance, 100 users over Stream", points }],
    };
  } finally {
    await close();
  }
}
