import type { LogMessage } from "../bus/bus.ts";
import type { Store } from "../store/store.ts";
import type { LogFramer } from "./log-frame.ts";
import { logMessage } from "./publisher.ts";

/** The most events read at once; when more wait, the next read follows at once. */
const pageEvents = 1_000;

/**
 * Reads what this node may have missed of the log, which no later event would
 * reveal: the last event lost on the bus, or one whose node died between
 * commit and publishing. Feeds drop what they already had.
 */
export class TailFollower {
  readonly #store: Store;
  readonly #frame: LogFramer;
  readonly #accept: (message: LogMessage) => void;
  /** Every event up to here was seen. */
  #seen: number;
  #reading = false;

  /** @param seen the last position of the log when the node began to listen */
  constructor(store: Store, frame: LogFramer, seen: number, accept: (message: LogMessage) => void) {
    this.#store = store;
    this.#frame = frame;
    this.#seen = seen;
    this.#accept = accept;
  }

  /** Everything of the log up to this position is known to this node. */
  get seen(): number {
    return this.#seen;
  }

  /** Notes that this node itself published an event. */
  note(position: number): void {
    if (position === this.#seen + 1) this.#seen = position;
  }

  /** Reads what was not seen. Called every second, and at once after messages may have been lost. */
  async read(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    try {
      for (;;) {
        const events = await this.#store.readTail(this.#seen, pageEvents);
        for (const event of events) {
          if (event.position <= this.#seen) continue;
          this.#seen = event.position;
          this.#accept(logMessage(event, this.#frame));
        }
        if (events.length < pageEvents) return;
      }
    } finally {
      this.#reading = false;
    }
  }
}
