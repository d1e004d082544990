import { v7 as uuidv7 } from "uuid";
import { millisOf } from "./entries.ts";
import { withMessage } from "./log.ts";
import { replaceOutgoing, withOutgoing, withoutOutgoing } from "./outgoing.ts";
import type { ServerCalls } from "./server-calls.ts";
import { changeConversation, type Outgoing, without } from "./state.ts";
import type { ChatStore } from "./store.ts";

/** Sends messages, those of a conversation one after the other, so that they arrive in the order written. */
export class Outbox {
  readonly #store: ChatStore;
  readonly #calls: Pick<ServerCalls, "send">;
  readonly #inWords: (error: unknown) => string;
  readonly #last = new Map<string, Promise<void>>();

  /** @param inWords says for people why a message could not be sent */
  constructor(store: ChatStore, calls: Pick<ServerCalls, "send">, inWords: (error: unknown) => string) {
    this.#store = store;
    this.#calls = calls;
    this.#inWords = inWords;
  }

  /** Sends a text to a conversation that is in the state. It is shown at once. */
  send(id: string, text: string): void {
    this.resend(id, {
      kind: "outgoing",
      clientMessageId: uuidv7(),
      text,
      timeMs: Date.now(),
      state: "sending",
    });
  }

  /** Sends a message once more, under the id it had, so that it arrives once. */
  resend(id: string, outgoing: Outgoing): void {
    const again: Outgoing = { ...without(outgoing, "problem"), state: "sending" };
    this.#store.update((state) => changeConversation(state, id, (former) => withOutgoing(former, again)));
    const before = this.#last.get(id) ?? Promise.resolve();
    const done = before.then(() => this.#deliver(id, again));
    this.#last.set(id, done);
    void done.then(() => {
      if (this.#last.get(id) === done) this.#last.delete(id);
    });
  }

  /** Forgets a message that failed. */
  discard(id: string, clientMessageId: string): void {
    this.#store.update((state) =>
      changeConversation(state, id, (former) => ({
        ...former,
        outgoing: withoutOutgoing(former.outgoing, clientMessageId),
      })),
    );
  }

  async #deliver(id: string, outgoing: Outgoing): Promise<void> {
    const { userId, conversations } = this.#store.get();
    const target = conversations.get(id)?.target;
    if (target === undefined) return;
    const { clientMessageId, text } = outgoing;
    try {
      const { seq, acceptTime } = await this.#calls.send(target, text, clientMessageId);
      const message = {
        kind: "message" as const,
        seq: Number(seq),
        senderId: userId,
        text,
        timeMs: millisOf(acceptTime),
        clientMessageId,
      };
      this.#store.update((state) => withMessage(state, id, message));
    } catch (error) {
      const failed: Outgoing = { ...outgoing, state: "failed", problem: this.#inWords(error) };
      this.#store.update((state) =>
        changeConversation(state, id, (former) => replaceOutgoing(former, failed)),
      );
    }
  }
}
