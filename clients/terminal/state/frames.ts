import type { Store } from "../../model/store.ts";

/** The shortest time between two drawings, in milliseconds: 20 a second are enough for eyes. */
const drawEveryMs = 50;

/**
 * Tells of changes of a store at most 20 times a second, so that a storm of
 * messages costs no storm of drawings.
 */
export class Frames<T> {
  readonly #store: Store<T>;
  readonly #listeners = new Set<() => void>();
  readonly #stop: () => void;
  #shown: T;
  #lastMs = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(store: Store<T>) {
    this.#store = store;
    this.#shown = store.get();
    this.#stop = store.subscribe(() => this.#changed());
  }

  /** Returns the value that those who watch were told of last. */
  readonly shown = (): T => this.#shown;

  /** Calls a listener when there is something new to draw. Returns what to call to hear no more. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Tells nobody any more. */
  close(): void {
    this.#stop();
    clearTimeout(this.#timer);
    this.#listeners.clear();
  }

  #changed(): void {
    const waitMs = this.#lastMs + drawEveryMs - performance.now();
    if (waitMs <= 0) this.#tell();
    else this.#timer ??= setTimeout(() => this.#tell(), waitMs);
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#lastMs = performance.now();
    this.#shown = this.#store.get();
    for (const listener of [...this.#listeners]) listener();
  }
}
