import type { Listener } from "../clients/client.ts";

/** Counts what all clients of a load see, and carries what goes wrong to whoever waits. */
export class Tally implements Listener {
  sent = 0;
  delivered = 0;
  confirmed = 0;
  /** Is told of each user who received texts or was answered. */
  onReceived: (user: number, count: number) => void = () => {};
  onAnswered: (user: number, count: number) => void = () => {};
  readonly #failure: Promise<never>;
  #fail: (error: Error) => void = () => {};

  constructor() {
    this.#failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Whoever does not wait need not know.
    this.#failure.catch(() => {});
  }

  received(user: number, count: number): void {
    this.delivered += count;
    this.onReceived(user, count);
  }

  answered(user: number, count: number): void {
    this.confirmed += count;
    this.onAnswered(user, count);
  }

  failed(why: string): void {
    this.#fail(new Error(why));
  }

  /** Waits for work, or throws what went wrong. */
  during<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#failure]);
  }
}
