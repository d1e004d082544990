import type { EventCounts } from "./events.ts";
import type { Failure } from "./failure.ts";
import type { OnMessage } from "./message-reader.ts";
import type { SendFrames } from "./sends.ts";

/** What a fan-out needs of those who receive. */
interface Receiver {
  onReceived: OnMessage | undefined;
}

/** What a load did. */
export interface Done {
  /** How many units of work. */
  units: number;
  seconds: number;
}

/** How a fan-out is made. */
export interface FanOutOptions {
  sender: { send(frame: Buffer): void };
  /** Those who get every message, the sender among them. */
  sessions: readonly Receiver[];
  /** What all of them count into. */
  counts: EventCounts;
  frames: SendFrames;
  failure: Failure;
  /** How many messages may be under way: sent and not yet delivered to all. */
  window: number;
}

/** One session sends, all get it. */
export class FanOut {
  readonly #options: FanOutOptions;
  #sent = 0;
  #deliveredBefore = 0;
  #sending = false;
  #finish: (() => void) | undefined;

  constructor(options: FanOutOptions) {
    this.#options = options;
    for (const session of options.sessions) session.onReceived = () => this.#goOn();
  }

  /** Sends for some time and resolves once all is delivered. */
  async run(seconds: number): Promise<Done> {
    const { counts, failure } = this.#options;
    const startMs = performance.now();
    this.#sent = 0;
    this.#deliveredBefore = counts.log;
    this.#sending = true;
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    const stop = setTimeout(() => {
      this.#sending = false;
      this.#goOn();
    }, seconds * 1000);
    this.#goOn();
    try {
      await failure.during(finished);
    } finally {
      clearTimeout(stop);
    }
    return {
      units: counts.log - this.#deliveredBefore,
      seconds: (performance.now() - startMs) / 1000,
    };
  }

  #goOn(): void {
    const { sender, sessions, counts, frames, window } = this.#options;
    for (;;) {
      const underWay = this.#sent * sessions.length - (counts.log - this.#deliveredBefore);
      if (!this.#sending) {
        if (underWay === 0) this.#finish?.();
        return;
      }
      if (underWay > (window - 1) * sessions.length) return;
      this.#sent++;
      sender.send(frames.next());
    }
  }
}
