import type { Row } from "./row.ts";
import { median, round } from "./statistics.ts";

/** One measurement of one side. */
export interface Sample {
  /** The figure that the ratio is made of. */
  value: number;
  perSecond?: number;
  /** What a unit of work cost the load generator, in microseconds of CPU time. */
  loadUs?: number;
}

/** Both sides of a comparison. */
export interface Pairs {
  ours: Sample[];
  /** Empty when there is no floor. */
  floor: Sample[];
}

/**
 * Measures two sides in turn, so that what disturbs the machine disturbs both.
 *
 * @param floor undefined to measure one side alone
 */
export async function alternate(
  count: number,
  ours: () => Promise<Sample>,
  floor: (() => Promise<Sample>) | undefined,
): Promise<Pairs> {
  const pairs: Pairs = { ours: [], floor: [] };
  for (let i = 0; i < count; i++) {
    pairs.ours.push(await ours());
    if (floor !== undefined) pairs.floor.push(await floor());
  }
  return pairs;
}

/** What a row says beside its figures. */
export interface RowHead {
  name: string;
  unit: string;
  target: string | null;
  /** Judges the medians; absent where nothing is set. */
  reaches?: (figures: { ours: number; ratio: number; perSecond: number }) => boolean;
  floorIs?: string;
}

/** Makes a row of pairs. */
export function rowOf(pairs: Pairs, { name, unit, target, reaches, floorIs }: RowHead): Row {
  const ours = medianOf(pairs.ours);
  const ratios = pairs.floor.map(({ value }, i) => (pairs.ours[i] as Sample).value / value);
  const hasFloor = ratios.length > 0;
  const ratio = hasFloor ? median(ratios) : Number.NaN;
  const perSecond = medianIfAny(pairs.ours, "perSecond");
  const floorPerSecond = medianIfAny(pairs.floor, "perSecond");
  const loadUs = medianIfAny(pairs.ours, "loadUs");
  return {
    name,
    unit,
    ours: round(ours),
    floor: hasFloor ? round(medianOf(pairs.floor)) : null,
    ratio: hasFloor ? round(ratio) : null,
    ratio_min: hasFloor ? round(Math.min(...ratios)) : null,
    ratio_max: hasFloor ? round(Math.max(...ratios)) : null,
    target,
    met: reaches === undefined ? null : reaches({ ours, ratio, perSecond: perSecond ?? Number.NaN }),
    ...(floorIs !== undefined && hasFloor && { floor_is: floorIs }),
    pairs: pairs.ours.length,
    ...(perSecond !== undefined && { per_second: round(perSecond) }),
    ...(floorPerSecond !== undefined && { floor_per_second: round(floorPerSecond) }),
    ...(loadUs !== undefined && { load_cpu_us: round(loadUs) }),
  };
}

function medianOf(samples: readonly Sample[]): number {
  return median(samples.map(({ value }) => value));
}

function medianIfAny(samples: readonly Sample[], key: "perSecond" | "loadUs"): number | undefined {
  const values = samples.flatMap((sample) => sample[key] ?? []);
  return values.length === 0 ? undefined : median(values);
}
