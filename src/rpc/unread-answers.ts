import { ChatError, ErrorReason } from "../model/errors.ts";
import type { CallHandle } from "../net/call-handles.ts";

/** A call whose answer may not have left yet. */
type Answering = Pick<CallHandle, "unreadBytes" | "onClosed">;

/** The user who asks and the connection they use; both are limited. */
export interface Asking {
  userId: string;
  /** The other side of the connection, as `address:port`; undefined within the process. */
  connection?: string | undefined;
}

/**
 * Counts what was answered and not read yet, which stays in memory until it is:
 * by user and by connection. It is looked up where the transport keeps it, so
 * there is nothing to get out of step.
 */
export class UnreadAnswers {
  readonly #maxBytes: number;
  readonly #calls = new Map<string, Set<Answering>>();

  /** @param maxBytes how much a user, and how much a connection, may leave unread */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** How many users and connections have calls that are not over. */
  get size(): number {
    return this.#calls.size;
  }

  /** Counts a call's answer until the call is over. */
  add(asking: Asking, call: Answering): void {
    const keys = keysOf(asking);
    for (const key of keys) {
      const calls = this.#calls.get(key);
      if (calls === undefined) this.#calls.set(key, new Set([call]));
      else calls.add(call);
    }
    call.onClosed?.(() => {
      for (const key of keys) {
        const calls = this.#calls.get(key);
        calls?.delete(call);
        if (calls?.size === 0) this.#calls.delete(key);
      }
    });
  }

  /** @throws ChatError UNREAD_ANSWERS when a user or a connection has too much to read already */
  check(asking: Asking): void {
    for (const key of keysOf(asking)) {
      let bytes = 0;
      for (const { unreadBytes = 0 } of this.#calls.get(key) ?? []) bytes += unreadBytes;
      if (bytes <= this.#maxBytes) continue;
      throw new ChatError(
        ErrorReason.UNREAD_ANSWERS,
        `${bytes} bytes of answers to earlier calls have not been read; read them first`,
        {
          quota: {
            subject: key.split(":", 1)[0] as string,
            description: `maxUnreadBytes: ${this.#maxBytes}`,
          },
        },
      );
    }
  }
}

function keysOf({ userId, connection }: Asking): string[] {
  return connection === undefined ? [`user:${userId}`] : [`user:${userId}`, `connection:${connection}`];
}
