import type { ChatState } from "../../model/state.ts";
import type { Store } from "../../model/store.ts";
import { browser } from "./kept.ts";
import type { PageState } from "./page-state.ts";

/**
 * Remembers, in this browser, how far others have read: receipts are not
 * repeated, and the list of conversations does not tell.
 */
export class PeerReads {
  readonly #key: string;
  #kept: Record<string, number>;

  constructor(store: Store<PageState>) {
    this.#key = `parlance.reads.${store.get().userId}`;
    this.#kept = this.#read();
    store.subscribe(() => this.#keep(store.get()));
  }

  /** Puts what is remembered into a state whose conversations have just been listed. */
  restore(state: PageState): PageState {
    const conversations = new Map(state.conversations);
    for (const [id, conversation] of conversations) {
      const peerReadSeq = Math.max(conversation.peerReadSeq, this.#kept[id] ?? 0);
      if (peerReadSeq !== conversation.peerReadSeq) conversations.set(id, { ...conversation, peerReadSeq });
    }
    return { ...state, conversations };
  }

  #read(): Record<string, number> {
    try {
      return JSON.parse(browser.get(this.#key) ?? "{}") as Record<string, number>;
    } catch {
      return {};
    }
  }

  #keep(state: ChatState): void {
    let changed = false;
    for (const { id, peerReadSeq } of state.conversations.values()) {
      if (peerReadSeq <= (this.#kept[id] ?? 0)) continue;
      this.#kept = { ...this.#kept, [id]: peerReadSeq };
      changed = true;
    }
    if (changed) browser.set(this.#key, JSON.stringify(this.#kept));
  }
}
