import type { ChatStore } from "./store.ts";
import { nextStaleTyping, withoutStaleTyping } from "./typing.ts";

/** Stops showing that somebody types when they have fallen silent. */
export class TypingExpiry {
  readonly #store: ChatStore;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(store: ChatStore) {
    this.#store = store;
  }

  /** Sees to it that what is shown now ends in time. */
  arm(): void {
    clearTimeout(this.#timer);
    const next = nextStaleTyping(this.#store.get());
    if (next === undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#store.update((state) => withoutStaleTyping(state, performance.now()));
        this.arm();
      },
      Math.max(1, next - performance.now()),
    );
  }

  /** Leaves no timer behind. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
