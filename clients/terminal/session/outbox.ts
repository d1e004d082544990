import { v7 as uuidv7 } from "uuid";
import type { ParlanceClient, Target } from "../../typescript/index.ts";
import { millisOf } from "../state/entries.ts";
import { withSent } from "../state/events.ts";
import { changeConversation, type Outgoing, without } from "../state/model.ts";
import type { Store } from "../state/store.ts";
import { problemOf } from "./problems.ts";

/** How long a message is tried, in milliseconds: a server that restarts is back long before. */
const sendDeadlineMs = 600_000;

/** Sends messages, those of a conversation one after the other, so that they arrive in the order typed. */
export class Outbox {
  readonly #client: Pick<ParlanceClient, "sendDirect" | "sendGroup">;
  readonly #store: Store;
  readonly #last = new Map<string, Promise<void>>();

  constructor(client: Pick<ParlanceClient, "sendDirect" | "sendGroup">, store: Store) {
    this.#client = client;
    this.#store = store;
  }

  /** Sends a text to a conversation that is in the state. It is shown at once. */
  send(id: string, text: string): void {
    const outgoing: Outgoing = {
      kind: "outgoing",
      clientMessageId: uuidv7(),
      text,
      timeMs: Date.now(),
      state: "sending",
    };
    this.#put(id, outgoing);
    this.#queue(id, outgoing);
  }

  /** Sends again what failed in a conversation, under the ids it had. Returns how many that are. */
  retry(id: string): number {
    const failed = this.#outgoing(id).filter(({ state }) => state === "failed");
    for (const each of failed) {
      const again: Outgoing = { ...without(each, "problem"), state: "sending" };
      this.#put(id, again);
      this.#queue(id, again);
    }
    return failed.length;
  }

  /** How many messages are on their way. */
  get unsent(): number {
    return [...this.#store.state.conversations.keys()].flatMap((id) =>
      this.#outgoing(id).filter(({ state }) => state === "sending"),
    ).length;
  }

  #queue(id: string, outgoing: Outgoing): void {
    const before = this.#last.get(id) ?? Promise.resolve();
    const done = before.then(() => this.#deliver(id, outgoing));
    this.#last.set(id, done);
    void done.then(() => {
      if (this.#last.get(id) === done) this.#last.delete(id);
    });
  }

  async #deliver(id: string, outgoing: Outgoing): Promise<void> {
    const { clientMessageId, text } = outgoing;
    const conversation = this.#store.state.conversations.get(id);
    if (conversation === undefined) return;
    try {
      const result = await this.#send(conversation.target, text, clientMessageId);
      const message = {
        kind: "message" as const,
        seq: Number(result.seq),
        senderId: this.#store.state.userId,
        text,
        timeMs: millisOf(result.acceptTime),
        clientMessageId,
      };
      this.#store.update((state) => changeConversation(state, id, (former) => withSent(former, message)));
    } catch (error) {
      this.#put(id, { ...outgoing, state: "failed", problem: problemOf(error) });
    }
  }

  #send(target: Target, text: string, clientMessageId: string) {
    const options = { clientMessageId, deadlineMs: sendDeadlineMs };
    return "groupId" in target
      ? this.#client.sendGroup(target.groupId, text, options)
      : this.#client.sendDirect(target.recipientId, text, options);
  }

  #outgoing(id: string): readonly Outgoing[] {
    return this.#store.state.conversations.get(id)?.outgoing ?? [];
  }

  /** Adds a message to those on their way, in place of the one with its id. */
  #put(id: string, outgoing: Outgoing): void {
    this.#store.update((state) =>
      changeConversation(state, id, (former) => {
        const at = former.outgoing.findIndex((each) => each.clientMessageId === outgoing.clientMessageId);
        return {
          ...former,
          outgoing: at < 0 ? [...former.outgoing, outgoing] : former.outgoing.with(at, outgoing),
        };
      }),
    );
  }
}
