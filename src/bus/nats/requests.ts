import type { BusMessage, RequestOptions } from "../bus.ts";

/** A request that waits for answers. */
interface Waiting {
  add(answer: BusMessage): void;
  /** Ends it with the answers there are. */
  finish(): void;
}

/** The requests of this process that wait for answers, by tokens that stand at the end of their reply subjects. */
export class PendingRequests {
  readonly #waiting = new Map<string, Waiting>();
  #count = 0;

  /** Sends a request with a token of its own, and gathers answers until it is time or nobody is left to answer. */
  gather(
    { maxMs, quietMs = maxMs }: RequestOptions,
    send: (token: string) => boolean,
  ): Promise<BusMessage[]> {
    const token = (++this.#count).toString(36);
    return new Promise((resolve) => {
      const answers: BusMessage[] = [];
      let quietTimer: NodeJS.Timeout | undefined;
      const finish = () => {
        clearTimeout(maxTimer);
        clearTimeout(quietTimer);
        this.#waiting.delete(token);
        resolve(answers);
      };
      const maxTimer = setTimeout(finish, maxMs);
      const add = (answer: BusMessage) => {
        answers.push(answer);
        clearTimeout(quietTimer);
        quietTimer = setTimeout(finish, quietMs);
      };
      this.#waiting.set(token, { add, finish });
      if (!send(token)) finish();
    });
  }

  /** Whether answers to this token are still waited for. */
  has(token: string): boolean {
    return this.#waiting.has(token);
  }

  answer(token: string, answer: BusMessage): void {
    this.#waiting.get(token)?.add(answer);
  }

  /** Ends a request with the answers there are. */
  finish(token: string): void {
    this.#waiting.get(token)?.finish();
  }

  /** Ends all of them. */
  finishAll(): void {
    for (const { finish } of [...this.#waiting.values()]) finish();
  }
}
