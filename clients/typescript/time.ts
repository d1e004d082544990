import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";

/** Returns a duration in milliseconds; undefined stays undefined. */
export function millis(duration: Duration | undefined): number | undefined {
  if (duration === undefined) return undefined;
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

/** Returns a time in milliseconds since 1970; undefined stays undefined. */
export function epochMillis(time: Timestamp | undefined): number | undefined {
  if (time === undefined) return undefined;
  return Number(time.seconds) * 1000 + time.nanos / 1e6;
}

/** Waits, or less when the signal is aborted; never rejects. Leaves no timer behind. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted || ms <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
