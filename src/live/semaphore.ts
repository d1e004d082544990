/**
 * Lets at most some run at a time; the others wait for their turn, in the order
 * in which they came.
 */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param atOnce how many may run at a time */
  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** Runs something once there is room for it, and returns what it returns. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
