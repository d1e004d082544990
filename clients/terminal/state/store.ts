import type { ChatState } from "./model.ts";

/** The shortest time between two drawings, in milliseconds: 20 a second are enough for eyes. */
const drawEveryMs = 50;

/**
 * Holds the state. Changes take effect at once; those who watch are told at most
 * 20 times a second, so that a storm of messages costs no storm of drawings.
 */
export class Store {
  readonly #listeners = new Set<() => void>();
  #state: ChatState;
  #shown: ChatState;
  #lastMs = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(state: ChatState) {
    this.#state = state;
    this.#shown = state;
  }

  /** The state now. */
  get state(): ChatState {
    return this.#state;
  }

  /** The state that those who watch were told of last. */
  readonly shown = (): ChatState => this.#shown;

  /** Changes the state. */
  update(change: (state: ChatState) => ChatState): void {
    const next = change(this.#state);
    if (next === this.#state) return;
    this.#state = next;
    const waitMs = this.#lastMs + drawEveryMs - performance.now();
    if (waitMs <= 0) this.#tell();
    else this.#timer ??= setTimeout(() => this.#tell(), waitMs);
  }

  /** Calls a listener when there is something new to draw. Returns what to call to hear no more. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Tells nobody any more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#listeners.clear();
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#lastMs = performance.now();
    this.#shown = this.#state;
    for (const listener of [...this.#listeners]) listener();
  }
}
