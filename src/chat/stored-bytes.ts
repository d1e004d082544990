import { LRUCache } from "lru-cache";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { UserStore } from "../store/ports/users.ts";

/** The most users who are kept in memory. */
const maxUsers = 100_000;
/** How many bytes a user may add here before the store is told. */
const stepBytes = 65_536;
/** Users per write. */
const usersAtOnce = 1_000;

/** The bytes that a user has stored. */
interface Count {
  readonly userId: string;
  /** The bytes that the store said last, and those it was told of since. */
  stored: number;
  /** The bytes added here of which the store was not told yet. */
  added: number;
  /** Whether the store was asked how much other nodes, or this one before its start, have counted. */
  wasAsked: boolean;
}

/**
 * Counts how many bytes of messages users have stored, so that nothing of it is
 * done where messages are appended. The store is told of what was added, and
 * tells what nodes have added together, when a user first sends here and then
 * for every 64 KiB of theirs. So who has too much may send for a second on a
 * node that did not know, and a crash loses 64 KiB of a user's count.
 */
export class StoredBytes {
  readonly #store: Pick<UserStore, "addStoredBytes">;
  readonly #maxBytes: number;
  readonly #counts: LRUCache<string, Count>;
  /** Those of which the store is to be told next, or asked. */
  #due = new Set<Count>();

  /** @param maxBytes the most that a user may store */
  constructor(store: Pick<UserStore, "addStoredBytes">, maxBytes: number) {
    this.#store = store;
    this.#maxBytes = maxBytes;
    this.#counts = new LRUCache<string, Count>({
      max: maxUsers,
      dispose: (count) => {
        if (count.added > 0) this.#due.add(count);
      },
    });
  }

  /** Returns the refusal QUOTA_EXCEEDED for who has stored as much as they may. */
  refusalOf(userId: string): ChatError | undefined {
    const count = this.#counts.get(userId);
    if (count === undefined || count.stored + count.added < this.#maxBytes) return undefined;
    const description = `maxStoredBytesPerUser: at most ${this.#maxBytes} bytes of messages`;
    return new ChatError(
      ErrorReason.QUOTA_EXCEEDED,
      `"${userId}" has stored as much as a user may; ${description}`,
      { quota: { subject: `user:${userId}`, description } },
    );
  }

  /** Notes that a user stored so many bytes. */
  add(userId: string, bytes: number): void {
    let count = this.#counts.get(userId);
    if (count === undefined) {
      count = { userId, stored: 0, added: 0, wasAsked: false };
      this.#counts.set(userId, count);
    }
    count.added += bytes;
    if (!count.wasAsked || count.added >= stepBytes) this.#due.add(count);
  }

  /**
   * Tells the store of those who are due, once a second.
   *
   * @param all whether of all others, too, as before the end
   */
  async flush(all = false): Promise<void> {
    if (all) for (const count of this.#counts.values()) if (count.added > 0) this.#due.add(count);
    const due = [...this.#due];
    this.#due = new Set();
    for (let i = 0; i < due.length; i += usersAtOnce) await this.#tell(due.slice(i, i + usersAtOnce));
  }

  /** What fails is not told again: it may have arrived, and who is counted twice would be refused too early. */
  async #tell(counts: readonly Count[]): Promise<void> {
    const entries = counts.map(({ userId, added }) => ({ userId, bytes: added }));
    for (const count of counts) {
      count.stored += count.added;
      count.added = 0;
    }
    const totals = await this.#store.addStoredBytes(entries);
    for (const count of counts) {
      count.stored = totals.get(count.userId) ?? count.stored;
      count.wasAsked = true;
    }
  }
}
