import type { ChatState } from "./state.ts";

/** A value that can be watched. Values are replaced, never changed. */
export class Store<T> {
  #value: T;
  readonly #listeners = new Set<() => void>();

  constructor(initial: T) {
    this.#value = initial;
  }

  /** Returns the value. Bound, for `useSyncExternalStore`. */
  readonly get = (): T => this.#value;

  /** Puts a changed value in the place of the present one and tells who watches. */
  update(change: (value: T) => T): void {
    const next = change(this.#value);
    if (next === this.#value) return;
    this.#value = next;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Calls a listener after each change. Returns what to call to hear no more. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}

/** A `Store` of any state that a chat is part of. */
export interface ChatStore {
  get(): ChatState;
  update(change: <S extends ChatState>(state: S) => S): void;
}
