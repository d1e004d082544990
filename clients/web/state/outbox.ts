import { v7 as uuidv7 } from "uuid";
import { ChatService } from "../../../gen/parlance/chat/v1/chat_service_pb.js";
import { Sends, type Target } from "../../typescript/sends.ts";
import type { Calls } from "../client/calls.ts";
import { newConversation } from "./conversations.ts";
import { tab } from "./kept.ts";
import { type ChatState, changeConversation, type Outgoing } from "./model.ts";
import type { Store } from "./store.ts";
import { inWords } from "./words.ts";

interface Kept {
  conversationId: string;
  target: Target;
  outgoing: Outgoing;
}

/** How long a message is tried before it counts as failed. */
const deadlineMs = 30_000;

/**
 * Sends messages, those of a conversation one after another. What has no answer
 * yet is kept for this tab and sent again after a reload, under the same
 * `client_message_id`, so that it arrives once.
 */
export class Outbox {
  readonly #store: Store<ChatState>;
  readonly #sends: Sends;
  readonly #key: string;
  readonly #last = new Map<string, Promise<void>>();

  constructor(store: Store<ChatState>, calls: Calls, closed: AbortSignal, maxContentBytes: () => number) {
    this.#store = store;
    this.#key = `parlance.outbox.${store.get().userId}`;
    this.#sends = new Sends({
      streaming: () => false,
      sendDirect: (request, options) =>
        calls.once(ChatService.method.sendDirect, request, options.deadlineMs),
      sendGroup: (request, options) => calls.once(ChatService.method.sendGroup, request, options.deadlineMs),
      deadlineMs,
      maxContentBytes,
      closed,
    });
    store.subscribe(() => this.#keep());
  }

  /** Shows a message as being sent, and sends it. */
  send(conversationId: string, text: string): void {
    const outgoing: Outgoing = {
      clientMessageId: uuidv7(),
      text,
      timeMs: Date.now(),
      state: "sending",
    };
    this.#store.update((state) =>
      changeConversation(state, conversationId, (conversation) => ({
        ...conversation,
        outgoing: [...conversation.outgoing, outgoing],
      })),
    );
    this.#queue(conversationId, outgoing);
  }

  /** Sends a message that failed once more. */
  resend(conversationId: string, { problem, ...outgoing }: Outgoing): void {
    const again: Outgoing = { ...outgoing, state: "sending" };
    this.#replace(conversationId, again);
    this.#queue(conversationId, again);
  }

  /** Forgets a message that failed. */
  discard(conversationId: string, clientMessageId: string): void {
    this.#store.update((state) =>
      changeConversation(state, conversationId, (conversation) => ({
        ...conversation,
        outgoing: conversation.outgoing.filter((outgoing) => outgoing.clientMessageId !== clientMessageId),
      })),
    );
  }

  /** Takes up what was on its way before a reload. */
  restore(): void {
    const kept = this.#kept();
    for (const { conversationId, target, outgoing } of kept) {
      this.#store.update((state) => {
        const known = state.conversations.get(conversationId) ?? newConversation(conversationId, target);
        const next = { ...known, outgoing: [...known.outgoing, outgoing] };
        return { ...state, conversations: new Map(state.conversations).set(conversationId, next) };
      });
      if (outgoing.state === "sending") this.#queue(conversationId, outgoing);
    }
  }

  #queue(conversationId: string, outgoing: Outgoing): void {
    const before = this.#last.get(conversationId) ?? Promise.resolve();
    const sent = before.then(() => this.#send(conversationId, outgoing));
    this.#last.set(conversationId, sent);
  }

  async #send(conversationId: string, outgoing: Outgoing): Promise<void> {
    const { target } = this.#store.get().conversations.get(conversationId) ?? {};
    if (target === undefined) return;
    const { clientMessageId } = outgoing;
    try {
      await this.#sends.send(target, outgoing.text, { clientMessageId });
      this.#replace(conversationId, { ...outgoing, state: "sent" });
    } catch (error) {
      this.#replace(conversationId, { ...outgoing, state: "failed", problem: inWords(error) });
    }
  }

  /** Does nothing when the message's event has come before the answer. */
  #replace(conversationId: string, outgoing: Outgoing): void {
    this.#store.update((state) =>
      changeConversation(state, conversationId, (conversation) => ({
        ...conversation,
        outgoing: conversation.outgoing.map((former) =>
          former.clientMessageId === outgoing.clientMessageId ? outgoing : former,
        ),
      })),
    );
  }

  #kept(): Kept[] {
    try {
      return JSON.parse(tab.get(this.#key) ?? "[]") as Kept[];
    } catch {
      return [];
    }
  }

  #keep(): void {
    const kept: Kept[] = [];
    for (const { id, target, outgoing } of this.#store.get().conversations.values())
      for (const one of outgoing)
        if (one.state !== "sent") kept.push({ conversationId: id, target, outgoing: one });
    const text = JSON.stringify(kept);
    if (kept.length === 0) tab.remove(this.#key);
    else if (text !== tab.get(this.#key)) tab.set(this.#key, text);
  }
}
