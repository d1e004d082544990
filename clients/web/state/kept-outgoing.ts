import { changeOrAdd } from "../../model/conversations.ts";
import type { Outbox } from "../../model/outbox.ts";
import { withOutgoing } from "../../model/outgoing.ts";
import type { Outgoing } from "../../model/state.ts";
import type { Store } from "../../model/store.ts";
import { tab } from "./kept.ts";
import type { PageState } from "./page-state.ts";

interface Kept {
  conversationId: string;
  outgoing: Outgoing;
}

/**
 * Keeps what has no answer yet for this tab, so that it is sent again after a
 * reload, under the same `client_message_id`, and arrives once.
 */
export class KeptOutgoing {
  readonly #store: Store<PageState>;
  readonly #outbox: Outbox;
  readonly #key: string;

  constructor(store: Store<PageState>, outbox: Outbox) {
    this.#store = store;
    this.#outbox = outbox;
    this.#key = `parlance.outbox.${store.get().userId}`;
    store.subscribe(() => this.#keep());
  }

  /** Takes up what was on its way before a reload. */
  restore(): void {
    for (const { conversationId, outgoing } of this.#kept()) {
      this.#store.update((state) =>
        changeOrAdd(state, conversationId, (former) => withOutgoing(former, outgoing)),
      );
      if (outgoing.state === "sending") this.#outbox.resend(conversationId, outgoing);
    }
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
    for (const { id, outgoing } of this.#store.get().conversations.values())
      for (const one of outgoing) kept.push({ conversationId: id, outgoing: one });
    const text = JSON.stringify(kept);
    if (kept.length === 0) tab.remove(this.#key);
    else if (text !== tab.get(this.#key)) tab.set(this.#key, text);
  }
}
