/** A result: one line of the table, one object of the JSON. */
export interface Row {
  /** The case, with a part behind a slash where it has several figures. */
  name: string;
  /** What `ours` and `floor` count. */
  unit: string;
  /** The median of the samples. */
  ours: number;
  /** The same work by the floor; null where there is none. */
  floor: number | null;
  /** The median of the ratios of pairs, ours to the floor, and their extremes. */
  ratio: number | null;
  ratio_min: number | null;
  ratio_max: number | null;
  /** What to reach, in words; null where nothing is set. */
  target: string | null;
  /** Whether it was reached; null where nothing is set. */
  met: boolean | null;
  /** What the floor is. */
  floor_is?: string;
  /** How many pairs were measured. */
  pairs?: number;
  per_second?: number;
  floor_per_second?: number;
  p50_ms?: number;
  p99_ms?: number;
  /** What a unit of our side cost the load generator, in microseconds of CPU time. */
  load_cpu_us?: number;
  kb_per_session?: number;
  cpu_percent?: number;
  /** The version of Node, the commit and the machine, in every row. */
  node?: string;
  commit?: string;
  machine?: string;
  date?: string;
  /** Further figures. */
  [key: string]: string | number | boolean | null | undefined;
}

const columns = ["name", "ours", "unit", "floor", "ratio", "per second", "p50 / p99 ms", "target", ""];

/** Writes rows as a table for a terminal. */
export function table(rows: readonly Row[]): string {
  const lines = [columns, ...rows.map(cells)];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => (line[i] as string).length)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd(widths[i] as number))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Writes rows as a table in Markdown. */
export function markdown(rows: readonly Row[]): string {
  return [columns, columns.map(() => "---"), ...rows.map(cells)]
    .map((line) => `| ${line.join(" | ")} |`)
    .join("\n");
}

function cells(row: Row): string[] {
  return [
    row.name,
    number(row.ours),
    row.unit,
    row.floor === null ? "" : number(row.floor),
    row.ratio === null
      ? ""
      : `${row.ratio.toFixed(2)} (${row.ratio_min?.toFixed(2)}–${row.ratio_max?.toFixed(2)})`,
    row.per_second === undefined ? "" : number(row.per_second),
    row.p50_ms === undefined ? "" : `${number(row.p50_ms)} / ${number(row.p99_ms ?? Number.NaN)}`,
    row.target ?? "",
    row.met === null ? "" : row.met ? "met" : "MISSED",
  ];
}

/** Writes a number as people read it: thousands with commas, small ones with two decimals. */
export function number(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: value >= 100 ? 0 : 2 });
}
