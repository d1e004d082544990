/** Lets a client wait for the server's answer to one thing after the other, in order. */
export class Waiting {
  readonly #waiters: Array<() => void> = [];

  /** Resolves with the next answer that nobody waits for yet. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  /** Tells that an answer came. */
  came(): void {
    this.#waiters.shift()?.();
  }
}
