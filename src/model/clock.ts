/**
 * The time that everything in a process goes by. There is one clock, passed in
 * where time is looked at, so that a test can turn it instead of waiting; lint
 * forbids all others in the chat, what is live, and the stores. Timers stay
 * those of the system.
 */
export class Clock {
  /** By how much it was turned ahead; shared with the workers of a store. */
  readonly #turnedMs: Float64Array;
  /** Makes the same clock in another thread. */
  readonly shared: SharedArrayBuffer;

  /** @param shared of the clock that this one is to be, in another thread; by default it is a new one */
  constructor(shared = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT)) {
    this.shared = shared;
    this.#turnedMs = new Float64Array(shared);
  }

  /** Returns the milliseconds since 1970. They jump when somebody sets the machine's clock. */
  now(): number {
    return Date.now() + (this.#turnedMs[0] as number);
  }

  /** Returns milliseconds that only ever grow, from any beginning, to measure how long something takes. */
  monotonic(): number {
    return performance.now() + (this.#turnedMs[0] as number);
  }

  /** Turns the clock ahead. @throws RangeError for less than 0: half of what it shows never goes back */
  turn(ms: number): void {
    if (!(ms >= 0)) throw new RangeError("a clock is turned ahead only");
    this.#turnedMs[0] = (this.#turnedMs[0] as number) + ms;
  }
}

/** The clock of the machine. Nobody turns it. */
export const systemClock = new Clock();
