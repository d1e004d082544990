import { isAbsent } from "../../typescript/errors.ts";
import type { ParlanceClient } from "../../typescript/index.ts";
import { changeConversation, openOf } from "../state/model.ts";
import type { Store } from "../state/store.ts";

/** Marks as read what is on the screen. */
export class Reading {
  readonly #client: Pick<ParlanceClient, "markRead">;
  readonly #store: Store;
  /** Up to where the server is still to be told. */
  readonly #wanted = new Map<string, number>();
  #busy = false;

  constructor(client: Pick<ParlanceClient, "markRead">, store: Store) {
    this.#client = client;
    this.#store = store;
  }

  /** Marks the open conversation as read, if its end is on the screen. */
  check(): void {
    const open = openOf(this.#store.state);
    if (open === undefined || open.unread === 0 || open.anchor !== undefined || open.left) return;
    const { id, lastSeq } = open;
    this.#wanted.set(id, lastSeq);
    this.#store.update((state) =>
      changeConversation(state, id, (former) => ({ ...former, readSeq: lastSeq, unread: 0 })),
    );
    void this.flush();
  }

  /** Tells the server what it has not been told. What fails is tried again at the next call. */
  async flush(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (const [id, seq] of this.#wanted) {
        this.#wanted.delete(id);
        await this.#client.markRead(id, BigInt(seq)).catch((error: unknown) => {
          if (!isAbsent(error) && !this.#wanted.has(id)) this.#wanted.set(id, seq);
          throw error;
        });
      }
    } catch {
      // Told again with the next one, or when the connection is back.
    } finally {
      this.#busy = false;
    }
  }
}
