import { listed } from "../../model/conversations.ts";
import type { ChatStore } from "../../model/store.ts";
import type { ParlanceClient } from "../../typescript/index.ts";

/** The most users a session may watch. */
const maxWatched = 1_000;

/** Watches the presence of those with whom there are direct conversations. */
export class Watching {
  readonly #client: Pick<ParlanceClient, "watchPresence">;
  readonly #store: ChatStore;
  #watched = "";

  constructor(client: Pick<ParlanceClient, "watchPresence">, store: ChatStore) {
    this.#client = client;
    this.#store = store;
  }

  /** Watches whoever has come. */
  check(): void {
    const users = listed(this.#store.get())
      .flatMap(({ target }) => ("recipientId" in target ? [target.recipientId] : []))
      .slice(0, maxWatched)
      .sort();
    const key = JSON.stringify(users);
    if (key === this.#watched) return;
    this.#watched = key;
    this.#client.watchPresence(users).catch(() => {
      // Dots stay empty; the client asks again on its next stream.
    });
  }
}
