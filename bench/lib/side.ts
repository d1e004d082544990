import type { Done } from "../load/fan-out.ts";
import type { Context } from "./context.ts";
import { alternate, type Pairs, type Sample } from "./pairs.ts";
import { cpuUs } from "./process-usage.ts";
import type { MeasuredServer } from "./server.ts";

/** One side of a comparison: a server under a load that can be run again and again. */
export interface Side {
  readonly server: Pick<MeasuredServer, "pid" | "startProfile">;
  /** Works for some time. */
  run: (seconds: number) => Promise<Done>;
  close: () => Promise<void>;
}

/** Runs a load and returns the server's CPU time per unit of work, in microseconds. */
export async function sampleCpu(side: Side, seconds: number): Promise<Sample> {
  const { pid } = side.server;
  const beforeUs = cpuUs(pid);
  const loadBeforeUs = cpuUs(process.pid);
  const { units, seconds: taken } = await side.run(seconds);
  return {
    value: (cpuUs(pid) - beforeUs) / units,
    perSecond: units / taken,
    loadUs: (cpuUs(process.pid) - loadBeforeUs) / units,
  };
}

/**
 * Measures the CPU time per unit of work of two sides in turn, after a run of
 * each that warms it up, and closes both.
 */
export async function compareCpu(context: Context, ours: Side, floor: Side | undefined): Promise<Pairs> {
  const { pairs, seconds } = context;
  try {
    await ours.run(seconds);
    await floor?.run(seconds);
    await ours.server.startProfile();
    return await alternate(pairs, () => sampleCpu(ours, seconds), floor && (() => sampleCpu(floor, seconds)));
  } finally {
    await ours.close();
    await floor?.close();
  }
}
