/** How soon after the first signal another of its kind still is the same wish, in milliseconds. */
const sameSignalMs = 1_000;

/**
 * Calls `onStop` at the first of some signals, and `onHurry` at each later one.
 *
 * One Ctrl-C comes twice under npm: from the terminal, and passed on by npm. So
 * the first signal again, within a second, is passed over.
 */
export function onStopSignals(
  signals: readonly NodeJS.Signals[],
  onStop: (signal: NodeJS.Signals) => void,
  onHurry: (signal: NodeJS.Signals) => void,
): void {
  let first: { signal: NodeJS.Signals; timeMs: number } | undefined;
  for (const signal of signals) {
    process.on(signal, () => {
      const timeMs = performance.now();
      if (first === undefined) {
        first = { signal, timeMs };
        onStop(signal);
      } else if (first.signal !== signal || timeMs - first.timeMs >= sameSignalMs) {
        onHurry(signal);
      }
    });
  }
}
