/** Clocks that differ by more, in milliseconds, are warned of. */
export const clockToleranceMs = 5_000;

/**
 * Returns by how much a clock that showed `timeMs` at some time between two of
 * this process's is ahead, at least, in milliseconds; 0 when it may be right.
 */
export function clockOffset(timeMs: number, fromMs: number, toMs: number): number {
  return Math.min(0, timeMs - fromMs) + Math.max(0, timeMs - toMs);
}
