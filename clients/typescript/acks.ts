import type { Cursor } from "../../gen/parlance/chat/v1/cursor_pb.js";

/** When acknowledgements leave. */
export interface AcksOptions {
  /** Sends an acknowledgement; returns false when it cannot be sent now. */
  send: (cursor: Cursor) => boolean;
  /** The longest a cursor waits. By default 200. */
  maxWaitMs?: number;
  /** The most events a cursor waits for. By default 200. */
  maxEvents?: number;
}

/** Gathers acknowledgements, so that one stands for many events. */
export class Acks {
  readonly #send: (cursor: Cursor) => boolean;
  readonly #maxWaitMs: number;
  readonly #maxEvents: number;
  #latest: Cursor | undefined;
  #events = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ send, maxWaitMs = 200, maxEvents = 200 }: AcksOptions) {
    this.#send = send;
    this.#maxWaitMs = maxWaitMs;
    this.#maxEvents = maxEvents;
  }

  /** Acknowledges everything up to a cursor, soon. One behind an earlier one changes nothing. */
  add(cursor: Cursor): void {
    const latest = this.#latest;
    if (latest?.epoch === cursor.epoch && latest.position >= cursor.position) return;
    this.#latest = cursor;
    if (++this.#events >= this.#maxEvents) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), this.#maxWaitMs);
  }

  /** Sends what waits. What cannot be sent goes on waiting, for the next `add` or `flush`. */
  flush(): void {
    this.#stopTimer();
    if (this.#latest === undefined || !this.#send(this.#latest)) return;
    this.#clear();
  }

  /** Returns what waits and forgets it. */
  takeLatest(): Cursor | undefined {
    const latest = this.#latest;
    this.#clear();
    return latest;
  }

  #clear(): void {
    this.#stopTimer();
    this.#latest = undefined;
    this.#events = 0;
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
