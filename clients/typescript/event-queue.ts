import type { ClientEvent } from "./events.ts";

/** Hears of what happens to an `EventQueue`. */
export interface EventQueueHooks {
  /** The application asked for the next one: the event it took last is done. */
  onDone(event: ClientEvent): void;
  /** There is room again after `push` returned false. */
  onRoom(): void;
}

/**
 * The events between a stream and the application that iterates them. It takes
 * whatever is pushed and says when it is enough.
 */
export class EventQueue implements AsyncIterableIterator<ClientEvent, undefined> {
  readonly #limit: number;
  readonly #hooks: EventQueueHooks;
  #events: ClientEvent[] = [];
  #first = 0;
  #full = false;
  #lastTaken: ClientEvent | undefined;
  readonly #waiting: Array<{
    resolve: (result: IteratorResult<ClientEvent, undefined>) => void;
    reject: (error: unknown) => void;
  }> = [];
  #ended = false;
  #error: unknown;

  /** @param limit how many events may wait before `push` returns false */
  constructor(limit: number, hooks: EventQueueHooks) {
    this.#limit = limit;
    this.#hooks = hooks;
  }

  /** Adds an event. Returns whether there is room for more. */
  push(event: ClientEvent): boolean {
    if (this.#ended) return true;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      this.#lastTaken = event;
      waiting.resolve({ value: event, done: false });
      return true;
    }
    this.#events.push(event);
    if (this.#events.length - this.#first >= this.#limit) this.#full = true;
    return !this.#full;
  }

  /** Ends the iteration: at once, or with an error after what waits. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    if (error === undefined) this.#events = [];
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (this.#error === undefined) resolve({ value: undefined, done: true });
      else {
        reject(this.#error);
        this.#error = undefined;
      }
    }
  }

  /** The event that the application took last and has not returned from yet. */
  get lastTaken(): ClientEvent | undefined {
    return this.#lastTaken;
  }

  next(): Promise<IteratorResult<ClientEvent, undefined>> {
    const done = this.#lastTaken;
    if (done !== undefined) {
      this.#lastTaken = undefined;
      this.#hooks.onDone(done);
    }
    if (this.#first < this.#events.length) {
      const event = this.#shift();
      this.#lastTaken = event;
      return Promise.resolve({ value: event, done: false });
    }
    if (this.#ended) {
      const error = this.#error;
      this.#error = undefined;
      if (error !== undefined) return Promise.reject(error);
      return Promise.resolve({ value: undefined, done: true });
    }
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Leaves the loop. The event it left with counts as not dealt with: it comes again. */
  return(): Promise<IteratorResult<ClientEvent, undefined>> {
    if (this.#lastTaken !== undefined && (!this.#ended || this.#error !== undefined)) {
      this.#events.splice(0, this.#first, this.#lastTaken);
      this.#first = 0;
    }
    this.#lastTaken = undefined;
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #shift(): ClientEvent {
    const event = this.#events[this.#first++] as ClientEvent;
    if (this.#first > 512 && this.#first * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#first);
      this.#first = 0;
    }
    if (this.#full && this.#events.length - this.#first <= this.#limit / 2) {
      this.#full = false;
      this.#hooks.onRoom();
    }
    return event;
  }
}
