import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../model/logger.ts";

const firstWaitMs = 250;
const maxWaitMs = 5_000;

/** How to wait. */
export interface WaitOptions<T> {
  /** The name of what is waited for, such as `PostgreSQL`. */
  what: string;
  open: () => Promise<T>;
  /** Tells whether an error may pass by itself, as one of a server that is not there yet. */
  passes: (error: unknown) => boolean;
  log: Logger;
  /** Gives up. What is opened after that is closed. */
  signal: AbortSignal;
}

/**
 * Opens something of another server, and tries again until that is there.
 *
 * @throws what `open` does, when that does not pass; the signal's reason when it is aborted
 */
export async function waitFor<T extends { close(): Promise<void> }>(options: WaitOptions<T>): Promise<T> {
  const { what, open, passes, log, signal } = options;
  for (let tries = 0; ; tries++) {
    try {
      const opened = await unlessAborted(open, signal);
      if (tries > 0) log.info({ tries }, `${what} is there`);
      return opened;
    } catch (err) {
      if (signal.aborted || !passes(err)) throw err;
      const waitMs = Math.min(maxWaitMs, firstWaitMs * 2 ** tries);
      log.warn({ reason: (err as Error).message, waitMs }, `waiting for ${what}`);
      await sleep(waitMs, undefined, { signal });
    }
  }
}

async function unlessAborted<T extends { close(): Promise<void> }>(
  open: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const opening = open();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([opening, aborted]);
  } catch (error) {
    if (signal.aborted) opening.then((late) => late.close()).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
