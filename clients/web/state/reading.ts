import { ConversationService } from "../../../gen/parlance/chat/v1/conversation_service_pb.js";
import type { Calls } from "../client/calls.ts";
import { type ChatState, changeConversation } from "./model.ts";
import type { Store } from "./store.ts";

/** Several messages that come together are marked as read with one call. */
const delayMs = 250;

/** Tells the server what the user has read. */
export class Reading {
  readonly #store: Store<ChatState>;
  readonly #calls: Calls;
  /** What the server has yet to be told, by conversation. */
  readonly #untold = new Map<string, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(store: Store<ChatState>, calls: Calls) {
    this.#store = store;
    this.#calls = calls;
  }

  /** Marks all of a conversation as read. */
  markRead(conversationId: string): void {
    const conversation = this.#store.get().conversations.get(conversationId);
    if (conversation === undefined) return;
    const { lastSeq, readSeq, unread } = conversation;
    if (readSeq >= lastSeq && unread === 0) return;
    this.#store.update((state) =>
      changeConversation(state, conversationId, (former) => ({ ...former, readSeq: lastSeq, unread: 0 })),
    );
    if (unread === 0) return;
    this.#untold.set(conversationId, lastSeq);
    this.#timer ??= setTimeout(() => this.flush(), delayMs);
  }

  /** Tells the server now. What it cannot be told waits for the next time. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [conversationId, seq] of this.#untold) {
      this.#calls.once(ConversationService.method.markRead, { conversationId, upToSeq: BigInt(seq) }).then(
        () => {
          if (this.#untold.get(conversationId) === seq) this.#untold.delete(conversationId);
        },
        () => {},
      );
    }
  }
}
