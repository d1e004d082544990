/** Returns a percentile of numbers, in any order; 0 when there are none. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0;
}

/** Writes milliseconds for people: `12 ms`, `1.2 s`. */
export function ms(value: number): string {
  return value < 1_000 ? `${Math.round(value)} ms` : `${(value / 1_000).toFixed(1)} s`;
}

/** Writes bytes for people, in MB. */
export function megabytes(value: number): string {
  return `${Math.round(value / 1_048_576)} MB`;
}
