import type { Typing } from "../../../gen/parlance/chat/v1/event_pb.js";
import { type ChatState, changeConversation } from "./model.ts";
import type { Store } from "./store.ts";

/** How long somebody is shown as typing after they last said so, as the proto's `Typing` has it. */
const shownMs = 6_000;

/** Stops showing that somebody types when they have fallen silent. */
export class TypingExpiry {
  readonly #store: Store<ChatState>;
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(store: Store<ChatState>) {
    this.#store = store;
  }

  /** Takes notice of an event. */
  take({ conversationId, userId, typing }: Typing): void {
    const key = JSON.stringify([conversationId, userId]);
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
    if (!typing) return;
    const expire = () => {
      this.#timers.delete(key);
      this.#store.update((state) =>
        changeConversation(state, conversationId, (conversation) => ({
          ...conversation,
          typing: conversation.typing.filter((typist) => typist !== userId),
        })),
      );
    };
    this.#timers.set(key, setTimeout(expire, shownMs));
  }

  /** Leaves no timer behind. */
  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
