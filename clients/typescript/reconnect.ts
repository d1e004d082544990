/** How long to wait between tries. */
export interface BackoffOptions {
  /** The most the first wait may last. By default 100. */
  baseMs?: number | undefined;
  /** The most any wait may last. By default 10,000. */
  capMs?: number | undefined;
  /** Returns a number from 0 to below 1; for tests. */
  random?: (() => number) | undefined;
}

/**
 * Exponential backoff with full jitter: each wait is drawn evenly from 0 to a
 * ceiling that doubles, so that many clients that lost the same server do not
 * come back together.
 *
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export class Backoff {
  readonly #baseMs: number;
  readonly #capMs: number;
  readonly #random: () => number;
  #tries = 0;

  constructor({ baseMs = 100, capMs = 10_000, random = Math.random }: BackoffOptions = {}) {
    this.#baseMs = baseMs;
    this.#capMs = capMs;
    this.#random = random;
  }

  /**
   * Returns how long to wait before the next try.
   *
   * @param atLeastMs what the server asked for; the jitter comes on top of it
   */
  next(atLeastMs = 0): number {
    const ceiling = Math.min(this.#capMs, this.#baseMs * 2 ** this.#tries);
    if (ceiling < this.#capMs) this.#tries++;
    return atLeastMs + this.#random() * ceiling;
  }

  /** Starts over, after a success. */
  reset(): void {
    this.#tries = 0;
  }
}
