import type { Failure } from "./failure.ts";
import type { Done } from "./fan-out.ts";
import type { SendFrames } from "./sends.ts";
import type { Session } from "./session.ts";

/** A user who sends to others. */
export interface DirectUser {
  session: Session;
  /** What makes messages for each of those they write to. */
  frames: readonly SendFrames[];
}

/** Users send each other messages, each again as soon as one was answered. */
export class DirectLoad {
  readonly #users: readonly DirectUser[];
  readonly #failure: Failure;
  readonly #window: number;
  readonly #sent: number[];
  /** What each had been answered, and delivered, before the run. */
  #before: Array<{ replies: number; log: number }> = [];
  #sending = false;
  #finish: (() => void) | undefined;

  /** @param window how many messages each user has under way */
  constructor(users: readonly DirectUser[], failure: Failure, window: number) {
    this.#users = users;
    this.#failure = failure;
    this.#window = window;
    this.#sent = users.map(() => 0);
    for (const [i, { session }] of users.entries()) session.onReceived = () => this.#goOn(i);
  }

  /** Sends for some time and resolves once all is answered, and delivered to its sender and recipient. */
  async run(seconds: number): Promise<Done> {
    const startMs = performance.now();
    this.#sent.fill(0);
    this.#before = this.#users.map(({ session: { counts } }) => ({ ...counts }));
    this.#sending = true;
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    const stop = setTimeout(() => {
      this.#sending = false;
      this.#finishIfDone();
    }, seconds * 1000);
    for (const i of this.#users.keys()) this.#goOn(i);
    try {
      await this.#failure.during(finished);
    } finally {
      clearTimeout(stop);
    }
    return { units: sum(this.#sent), seconds: (performance.now() - startMs) / 1000 };
  }

  #goOn(i: number): void {
    if (!this.#sending) {
      this.#finishIfDone();
      return;
    }
    const { session, frames } = this.#users[i] as DirectUser;
    const answered = session.counts.replies - (this.#before[i]?.replies ?? 0);
    while ((this.#sent[i] as number) - answered < this.#window) {
      const n = (this.#sent[i] as number)++;
      session.send((frames[n % frames.length] as SendFrames).next());
    }
  }

  #finishIfDone(): void {
    const sent = sum(this.#sent);
    let replies = 0;
    let delivered = 0;
    for (const [i, { session }] of this.#users.entries()) {
      replies += session.counts.replies - (this.#before[i]?.replies ?? 0);
      delivered += session.counts.log - (this.#before[i]?.log ?? 0);
    }
    if (replies === sent && delivered === 2 * sent) this.#finish?.();
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
