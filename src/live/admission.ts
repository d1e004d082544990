/** The longest that anyone is told to stay away. */
const maxWaitMs = 10_000;

/**
 * Lets new sessions in at a bounded rate, so that thousands of clients that
 * lost the same server do not take it down as they come back. It is a token
 * bucket that holds what comes in a second.
 *
 * Whoever is turned away is told when there will be room: each a little later
 * than the one before, so that most are let in when they come again.
 */
export class Admission {
  readonly #perSecond: number;
  #tokens: number;
  #filledMs: number;
  /** Until when the room there will be is promised to those who were turned away. */
  #promisedMs = 0;

  /**
   * @param perSecond the most per second in the long run, and at once; 0 lets everyone in
   * @param nowMs the time on the monotonic clock, here and below
   */
  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond;
    this.#filledMs = nowMs;
  }

  /** Returns undefined to let one in, or after how many milliseconds it should come again. */
  enter(nowMs: number): number | undefined {
    if (this.#perSecond === 0) return undefined;
    const gained = ((nowMs - this.#filledMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#perSecond, this.#tokens + gained);
    this.#filledMs = nowMs;
    if (this.#tokens >= 1) {
      this.#tokens--;
      return undefined;
    }
    this.#promisedMs = Math.max(this.#promisedMs, nowMs) + 1000 / this.#perSecond;
    const waitMs = Math.min(this.#promisedMs - nowMs, maxWaitMs);
    // Those beyond the longest wait are told the same, and must not come together.
    return Math.ceil(waitMs * (1 + Math.random() / 2));
  }
}
