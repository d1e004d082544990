import { failPoint } from "../fail-points.ts";

/** Something whose reader waits to be woken. */
interface Sleeper {
  wake(): void;
}

/**
 * Wakes readers once the code that runs now, and what it resolves, is done. So
 * the answer to a sender leaves before its message is written to a thousand
 * streams, and a reader that gets several events in one turn of the event loop
 * is woken once and gets them in one message.
 */
export class WakeQueue {
  #sleepers: Sleeper[] = [];

  /** Wakes a reader soon. Adding it twice wakes it twice. */
  add(sleeper: Sleeper): void {
    if (this.#sleepers.push(sleeper) === 1) setImmediate(() => this.#wakeAll());
  }

  #wakeAll(): void {
    failPoint("wake.before-readers");
    const sleepers = this.#sleepers;
    this.#sleepers = [];
    for (const sleeper of sleepers) sleeper.wake();
  }
}
