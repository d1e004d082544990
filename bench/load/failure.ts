/**
 * Carries what goes wrong in a callback to whoever waits for the work, so that
 * a measurement ends with the reason instead of waiting for ever.
 */
export class Failure {
  readonly #raised: Promise<never>;
  #reject: (error: Error) => void = () => {};

  constructor() {
    this.#raised = new Promise((_, reject) => {
      this.#reject = reject;
    });
    // Whoever does not wait need not know.
    this.#raised.catch(() => {});
  }

  raise(message: string): void {
    this.#reject(new Error(message));
  }

  /** Waits for work, or throws what was raised. */
  during<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#raised]);
  }
}
