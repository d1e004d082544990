/**
 * Lets at most some run at a time; the others wait for their turn, in the order
 * in which they came.
 */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** @param atOnce how many may run at a time */
  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** Runs something when its turn has come, and returns what it returns. */
  async take<T>(run: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await run();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
