import type { ClientEvent } from "./events.ts";
import { isPromiseLike } from "./host-calls.ts";

/** Hears of what happens to an `EventCallback`. */
export interface EventCallbackHooks {
  /** The callback has returned, and what it returned was fulfilled. */
  onDone(event: ClientEvent): void;
  /** There is room again after `push` returned false. */
  onRoom(): void;
  /** The callback threw or rejected. It is called no more, and the event is not done. */
  onFailed(cause: unknown): void;
}

/**
 * Hands events to an application's callback, one at a time: while what it
 * returned for one is not fulfilled, the next ones wait.
 */
export class EventCallback {
  readonly #callback: (event: ClientEvent) => unknown;
  readonly #limit: number;
  readonly #hooks: EventCallbackHooks;
  /** The events that wait while the callback is busy. */
  #events: ClientEvent[] = [];
  #busy = false;
  #current: ClientEvent | undefined;
  #full = false;
  #ended = false;

  /** @param limit how many events may wait before `push` returns false */
  constructor(callback: (event: ClientEvent) => unknown, limit: number, hooks: EventCallbackHooks) {
    this.#callback = callback;
    this.#limit = limit;
    this.#hooks = hooks;
  }

  /** The event that the callback is called with right now, which may itself close the client. */
  get current(): ClientEvent | undefined {
    return this.#current;
  }

  /** Hands an event on, or keeps it while the callback is busy. Returns whether there is room for more. Never throws. */
  push(event: ClientEvent): boolean {
    if (this.#ended) return true;
    if (this.#busy) this.#events.push(event);
    else this.#give(event);
    if (this.#events.length >= this.#limit) this.#full = true;
    return !this.#full;
  }

  /** Calls it no more. What it is busy with is not done. */
  end(): void {
    this.#ended = true;
    this.#events = [];
  }

  #give(event: ClientEvent): void {
    this.#current = event;
    try {
      const result = this.#callback(event);
      if (isPromiseLike(result)) {
        this.#busy = true;
        Promise.resolve(result).then(
          () => this.#settled(event),
          (cause) => this.#fail(cause),
        );
        return;
      }
    } catch (cause) {
      this.#fail(cause);
      return;
    } finally {
      this.#current = undefined;
    }
    if (!this.#ended) this.#hooks.onDone(event);
  }

  #settled(event: ClientEvent): void {
    this.#busy = false;
    if (this.#ended) return;
    this.#hooks.onDone(event);
    let given = 0;
    while (!this.#busy && given < this.#events.length) this.#give(this.#events[given++] as ClientEvent);
    this.#events.splice(0, given);
    if (!this.#full || this.#ended || this.#events.length > this.#limit / 2) return;
    this.#full = false;
    this.#hooks.onRoom();
  }

  #fail(cause: unknown): void {
    if (this.#ended) return;
    this.end();
    this.#hooks.onFailed(cause);
  }
}
