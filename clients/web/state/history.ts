import { MessageService } from "../../../gen/parlance/chat/v1/message_service_pb.js";
import type { Calls } from "../client/calls.ts";
import { withoutSent } from "./conversations.ts";
import { messageOf } from "./entries.ts";
import type { Timeline } from "./model.ts";
import { type ChatState, changeConversation } from "./model.ts";
import type { Store } from "./store.ts";
import { addPage, loadingTimeline } from "./timeline.ts";
import { inWords } from "./words.ts";

const pageSize = 100;
/** Above any seq. */
const endOfLog = 2n ** 63n - 1n;

/** Loads the history of conversations, page by page, from the newest on. */
export class History {
  readonly #store: Store<ChatState>;
  readonly #calls: Calls;

  constructor(store: Store<ChatState>, calls: Calls) {
    this.#store = store;
    this.#calls = calls;
  }

  /** Loads the newest page of a conversation, unless there is one already. */
  async open(conversationId: string): Promise<void> {
    const timeline = this.#timeline(conversationId);
    if (timeline?.problem !== undefined) return this.loadOlder(conversationId);
    if (timeline !== undefined) return;
    if (this.#isNew(conversationId)) {
      this.#change(conversationId, () => ({ entries: [], complete: true, loading: false }));
      return;
    }
    this.#change(conversationId, loadingTimeline);
    await this.#load(conversationId, endOfLog);
  }

  /** Loads the page before the one loaded last, unless there is none or it is on its way. */
  async loadOlder(conversationId: string): Promise<void> {
    const timeline = this.#timeline(conversationId);
    if (timeline === undefined || timeline.complete || timeline.loading) return;
    this.#change(conversationId, ({ entries, complete }) => ({ entries, complete, loading: true }));
    const first = timeline.entries[0];
    await this.#load(conversationId, first === undefined ? endOfLog : BigInt(first.seq));
  }

  async #load(conversationId: string, beforeSeq: bigint): Promise<void> {
    try {
      const { messages, nextPageToken } = await this.#calls.repeated(MessageService.method.listMessages, {
        target: { case: "conversationId", value: conversationId },
        beforeSeq,
        pageSize,
      });
      const page = messages.map(messageOf);
      this.#store.update((state) =>
        changeConversation(state, conversationId, (conversation) => ({
          ...conversation,
          timeline: addPage(conversation.timeline ?? loadingTimeline(), page, nextPageToken === ""),
          outgoing: page.reduce(withoutSent, conversation.outgoing),
        })),
      );
    } catch (error) {
      const problem = inWords(error);
      this.#change(conversationId, (timeline) => ({ ...timeline, loading: false, problem }));
    }
  }

  /** Whether nothing was ever said to the other user: the server knows nothing of it then. */
  #isNew(conversationId: string): boolean {
    const conversation = this.#store.get().conversations.get(conversationId);
    return conversation !== undefined && "recipientId" in conversation.target && conversation.lastSeq === 0;
  }

  #timeline(conversationId: string): Timeline | undefined {
    return this.#store.get().conversations.get(conversationId)?.timeline;
  }

  #change(conversationId: string, change: (timeline: Timeline) => Timeline): void {
    this.#store.update((state) =>
      changeConversation(state, conversationId, (conversation) => ({
        ...conversation,
        timeline: change(conversation.timeline ?? loadingTimeline()),
      })),
    );
  }
}
