import { ChatError, ErrorReason } from "../errors.ts";
import type { CallHandle } from "./call-handles.ts";

/** How many reads of one user are carried out at a time; further ones wait for their turn. */
const atOncePerUser = 4;
/** How many are carried out at a time in all. */
const atOnce = 64;

/** A read that waits for its turn, or is carried out, or whose answer has not left yet. */
type ReadHandle = Pick<CallHandle, "unreadBytes" | "onClosed">;

/** What one user reads. */
interface Reader {
  running: number;
  waiting: (() => void)[];
  open: Set<ReadHandle>;
}

/**
 * Lets users read in turn: who asks for much waits for themselves, not others
 * for them. Who does not read the answers is refused more of them.
 */
export class FairReads {
  readonly #maxUnreadBytes: number;
  readonly #readers = new Map<string, Reader>();
  /** Readers with something that waits, the one whose turn is next first. */
  readonly #turns = new Set<Reader>();
  #running = 0;

  /** @param maxUnreadBytes how many bytes of answers a user may leave unread */
  constructor(maxUnreadBytes: number) {
    this.#maxUnreadBytes = maxUnreadBytes;
  }

  /** How many users have reads that are not over. */
  get size(): number {
    return this.#readers.size;
  }

  /**
   * Carries a read out when its turn has come.
   *
   * @param handle its call, which counts until it is closed; undefined within the process
   * @throws ChatError UNREAD_ANSWERS, before anything is read
   */
  async run<T>(userId: string, handle: ReadHandle | undefined, read: () => Promise<T>): Promise<T> {
    const reader = this.#readers.get(userId) ?? { running: 0, waiting: [], open: new Set() };
    this.#checkUnread(reader);
    this.#readers.set(userId, reader);
    if (handle !== undefined) {
      reader.open.add(handle);
      handle.onClosed?.(() => {
        reader.open.delete(handle);
        this.#forgetIdle(userId, reader);
      });
    }
    if (!this.#mayRun(reader)) {
      const turn = new Promise<void>((resolve) => reader.waiting.push(resolve));
      this.#turns.add(reader);
      await turn;
    } else this.#begin(reader);
    try {
      return await read();
    } finally {
      this.#running--;
      reader.running--;
      this.#forgetIdle(userId, reader);
      this.#next();
    }
  }

  #checkUnread({ open }: Reader): void {
    let bytes = 0;
    for (const { unreadBytes = 0 } of open) bytes += unreadBytes;
    if (bytes <= this.#maxUnreadBytes) return;
    throw new ChatError(
      ErrorReason.UNREAD_ANSWERS,
      `${bytes} bytes of answers to earlier calls have not been read; read them first`,
      { quota: { subject: "user", description: `${this.#maxUnreadBytes} bytes of unread answers` } },
    );
  }

  #mayRun(reader: Reader): boolean {
    return reader.running < atOncePerUser && this.#running < atOnce;
  }

  #begin(reader: Reader): void {
    this.#running++;
    reader.running++;
  }

  /** Begins what may be begun, one read of each user in turn. */
  #next(): void {
    for (const reader of this.#turns) {
      if (this.#running >= atOnce) return;
      if (reader.running >= atOncePerUser) continue;
      this.#turns.delete(reader);
      this.#begin(reader);
      reader.waiting.shift()?.();
      if (reader.waiting.length > 0) this.#turns.add(reader);
    }
  }

  #forgetIdle(userId: string, { running, waiting, open }: Reader): void {
    if (running === 0 && waiting.length === 0 && open.size === 0) this.#readers.delete(userId);
  }
}
