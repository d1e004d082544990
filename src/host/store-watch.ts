import type { Logger } from "../model/logger.ts";
import type { StoreHealth } from "../store/ports/health.ts";

/** How long after a failure, and after each probe that failed, the store is tried again. */
const probeAfterMs = 1_000;

/** Knows whether the store can write. */
export interface StoreWatch {
  /** Whether it could, the last time it was tried. */
  readonly works: boolean;
  /** Stops watching. */
  close(): void;
}

/**
 * Watches whether a store can write. One write that failed because of the store
 * is enough to say no; then the store is probed once a second until it can.
 *
 * @param onChange called after `works` has changed
 */
export function watchStore(
  store: Pick<StoreHealth, "onWriteFailed" | "probe">,
  log: Logger,
  onChange: () => void,
): StoreWatch {
  let failingSinceMs: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function probeLater(): void {
    if (closed) return;
    timer = setTimeout(() => void store.probe().then(recover, probeLater), probeAfterMs);
  }

  function recover(): void {
    if (closed || failingSinceMs === undefined) return;
    const failingMs = Math.round(performance.now() - failingSinceMs);
    failingSinceMs = undefined;
    log.warn({ failingMs }, "store works again");
    onChange();
  }

  const stopListening = store.onWriteFailed((error) => {
    if (failingSinceMs !== undefined) return;
    failingSinceMs = performance.now();
    log.error({ err: error }, "store failing");
    onChange();
    probeLater();
  });

  return {
    get works() {
      return failingSinceMs === undefined;
    },
    close() {
      closed = true;
      clearTimeout(timer);
      stopListening();
    },
  };
}
