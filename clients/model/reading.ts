import { isAbsent } from "../typescript/errors.ts";
import { withAllRead } from "./conversations.ts";
import type { ServerCalls } from "./server-calls.ts";
import { changeConversation } from "./state.ts";
import type { ChatStore } from "./store.ts";

/** After telling, the server is left alone for so long: what is read meanwhile is told together. */
const pauseMs = 250;

/** Marks as read what the user has seen, and tells the server. */
export class Reading {
  readonly #store: ChatStore;
  readonly #calls: Pick<ServerCalls, "markRead">;
  /** Up to where the server is still to be told, by conversation. */
  readonly #untold = new Map<string, number>();
  #telling = false;
  #again = false;

  constructor(store: ChatStore, calls: Pick<ServerCalls, "markRead">) {
    this.#store = store;
    this.#calls = calls;
  }

  /** Marks all of a conversation as read, whose end is in sight. */
  markRead(id: string): void {
    const conversation = this.#store.get().conversations.get(id);
    if (conversation === undefined) return;
    const { lastSeq, readSeq, unread } = conversation;
    if (readSeq >= lastSeq && unread === 0) return;
    this.#store.update((state) => changeConversation(state, id, withAllRead));
    if (unread === 0) return;
    this.#untold.set(id, lastSeq);
    void this.flush();
  }

  /** Tells the server what it has not been told. What it cannot be told waits for the next time. Never rejects. */
  async flush(): Promise<void> {
    this.#again = true;
    if (this.#telling || this.#untold.size === 0) return;
    this.#telling = true;
    while (this.#again) {
      this.#again = false;
      for (const [id, seq] of [...this.#untold]) if (!(await this.#tell(id, seq))) break;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    this.#telling = false;
  }

  async #tell(id: string, seq: number): Promise<boolean> {
    try {
      await this.#calls.markRead(id, BigInt(seq));
    } catch (error) {
      if (!isAbsent(error)) return false;
    }
    if (this.#untold.get(id) === seq) this.#untold.delete(id);
    return true;
  }
}
