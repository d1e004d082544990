import type { ChatMessage } from "../../gen/parlance/chat/v1/message_pb.js";
import { isAbsent } from "../typescript/errors.ts";
import { messageOf } from "./entries.ts";
import { withoutSent } from "./outgoing.ts";
import type { ServerCalls } from "./server-calls.ts";
import { type Conversation, changeConversation, type Timeline, without } from "./state.ts";
import type { ChatStore } from "./store.ts";
import { addPage, loadingTimeline } from "./timeline.ts";

const pageSize = 100;
/** Above any seq. */
const endOfLog = 2n ** 63n - 1n;

/** Loads the history of conversations, page by page, from the newest on. */
export class History {
  readonly #store: ChatStore;
  readonly #calls: ServerCalls;
  readonly #inWords: (error: unknown) => string;

  /** @param inWords says for people why a page did not come */
  constructor(store: ChatStore, calls: ServerCalls, inWords: (error: unknown) => string) {
    this.#store = store;
    this.#calls = calls;
    this.#inWords = inWords;
  }

  /** Loads the newest page of a conversation, unless it is there; or the page that failed to come. */
  async open(id: string): Promise<void> {
    const timeline = this.#conversation(id)?.timeline;
    if (timeline === undefined || timeline.older === "failed") await this.loadOlder(id);
  }

  /**
   * Loads older messages of a conversation, or its newest when none is loaded.
   * Does nothing while some are being loaded, and when there are none.
   *
   * @returns how many came
   */
  async loadOlder(id: string, count = pageSize): Promise<number> {
    const conversation = this.#conversation(id);
    if (conversation === undefined) return 0;
    const { timeline } = conversation;
    if (timeline?.older === "loading" || timeline?.older === "none") return 0;
    const begun: Timeline = timeline
      ? { ...without(timeline, "problem"), older: "loading" }
      : loadingTimeline();
    this.#store.update((state) =>
      changeConversation(state, id, (former) => ({ ...former, timeline: begun })),
    );
    if (timeline === undefined && isNew(conversation)) {
      this.#add(id, begun, [], "none");
      return 0;
    }
    let loaded = 0;
    try {
      while (loaded < count) {
        const now = this.#conversation(id)?.timeline;
        if (now?.id !== begun.id) break;
        const { messages, nextPageToken } = await this.#calls.listMessages({
          target: { case: "conversationId", value: id },
          beforeSeq: now.from === undefined ? endOfLog : BigInt(now.from),
          pageSize: Math.min(pageSize, count - loaded),
        });
        loaded += messages.length;
        const isLast = nextPageToken === "" || messages.length === 0;
        this.#add(id, begun, messages, isLast ? "none" : loaded < count ? "loading" : "more");
        if (isLast) break;
      }
    } catch (error) {
      if (isAbsent(error)) this.#add(id, begun, [], "none");
      else
        this.#change(id, begun, (former, now) => ({
          ...former,
          timeline: { ...now, older: "failed", problem: this.#inWords(error) },
        }));
    }
    return loaded;
  }

  #add(id: string, begun: Timeline, messages: readonly ChatMessage[], older: Timeline["older"]): void {
    const { userId } = this.#store.get();
    const page = messages.map(messageOf);
    this.#change(id, begun, (former, now) => ({
      ...former,
      timeline: addPage(now, page, older, former.notes),
      outgoing: page.reduce((rest, message) => withoutSent(rest, message, userId), former.outgoing),
    }));
  }

  /** Changes a conversation, unless its timeline has been begun anew. */
  #change(id: string, begun: Timeline, change: (former: Conversation, now: Timeline) => Conversation): void {
    this.#store.update((state) =>
      changeConversation(state, id, (former) =>
        former.timeline?.id === begun.id ? change(former, former.timeline) : former,
      ),
    );
  }

  #conversation(id: string): Conversation | undefined {
    return this.#store.get().conversations.get(id);
  }
}

/**
 * Tells whether nothing was ever said to the other user: the server knows nothing
 * of it then. If something was, the list of conversations tells, and begins anew.
 */
function isNew({ target, lastSeq }: Conversation): boolean {
  return "recipientId" in target && lastSeq === 0;
}
