import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Clock } from "../../../model/clock.ts";
import { checksumOf } from "../file/checksum.ts";

/** How many conversations are remembered. */
const maxRemembered = 100_000;

/** Where an event was put. */
export interface Place {
  seq: number;
  position: number;
  acceptTimeMs: number;
}

/**
 * The log inside write transactions. Nobody else writes to it, so where
 * conversations end is remembered until a rollback, as are their keys.
 */
export class Log {
  #lastPosition = 0;
  #acceptTimeMs = 0;
  readonly #heads = new Map<number, number>();
  readonly #keys = new Map<string, number>();
  readonly #selectLast: StatementSync;
  readonly #selectKey: StatementSync;
  readonly #insertKey: StatementSync;
  readonly #selectHead: StatementSync;
  readonly #insert: StatementSync;

  readonly #clock: Clock;

  constructor(database: DatabaseSync, clock: Clock) {
    this.#clock = clock;
    this.#selectLast = database.prepare(
      "SELECT position, accept_time_ms FROM events ORDER BY position DESC LIMIT 1",
    );
    this.#selectKey = database.prepare("SELECT key FROM conversations WHERE conversation_id = ?");
    this.#insertKey = database.prepare("INSERT INTO conversations (conversation_id) VALUES (?)");
    this.#selectHead = database.prepare(
      "SELECT seq FROM events WHERE conversation = ? ORDER BY seq DESC LIMIT 1",
    );
    this.#insert = database.prepare(`
      INSERT INTO events
        (position, conversation, seq, kind, sender_id, client_message_id, accept_time_ms, body, checksum)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (client_message_id, sender_id) WHERE client_message_id IS NOT NULL DO NOTHING
    `);
  }

  /** Reads where the log stands: at the start of a transaction, and after going back to a savepoint. */
  refresh(): void {
    const last = this.#selectLast.get();
    this.#lastPosition = last === undefined ? 0 : Number(last.position);
    this.#acceptTimeMs = Math.max(this.#clock.now(), last === undefined ? 0 : Number(last.accept_time_ms));
  }

  /** Forgets what a rollback may have taken back. */
  forget(): void {
    this.#heads.clear();
    this.#keys.clear();
  }

  /** When what this transaction stores is accepted, in milliseconds since 1970. */
  get acceptTimeMs(): number {
    return this.#acceptTimeMs;
  }

  /** Returns the key of a conversation, undefined when it has none yet. */
  keyOf(conversationId: string): number | undefined {
    const known = this.#keys.get(conversationId);
    if (known !== undefined) return known;
    const row = this.#selectKey.get(conversationId);
    if (row === undefined) return undefined;
    return this.#remember(conversationId, Number(row.key));
  }

  /** Makes a conversation. */
  createConversation(conversationId: string): number {
    const key = Number(this.#insertKey.run(conversationId).lastInsertRowid);
    this.#heads.set(key, 0);
    return this.#remember(conversationId, key);
  }

  /** Returns the last seq of a conversation, 0 when it is empty. */
  headOf(key: number): number {
    let head = this.#heads.get(key);
    if (head === undefined) {
      head = Number(this.#selectHead.get(key)?.seq ?? 0);
      if (this.#heads.size >= maxRemembered) this.#heads.clear();
      this.#heads.set(key, head);
    }
    return head;
  }

  /** Appends an event; undefined, and nothing done, when the sender already used the `clientMessageId`. */
  append(
    key: number,
    kind: number,
    senderId: string,
    clientMessageId: string | null,
    body: Uint8Array,
  ): Place | undefined {
    const seq = this.headOf(key) + 1;
    const position = this.#lastPosition + 1;
    const acceptTimeMs = this.#acceptTimeMs;
    const checksum = checksumOf({ position, conversation: key, seq, kind, acceptTimeMs, body });
    const done = this.#insert.run(
      position,
      key,
      seq,
      kind,
      senderId,
      clientMessageId,
      acceptTimeMs,
      body,
      checksum,
    );
    if (done.changes === 0) return undefined;
    this.#heads.set(key, seq);
    this.#lastPosition = position;
    return { seq, position, acceptTimeMs };
  }

  #remember(conversationId: string, key: number): number {
    if (this.#keys.size >= maxRemembered) this.#keys.clear();
    this.#keys.set(detached(conversationId), key);
    return key;
  }
}

/**
 * Returns the same string, in memory of its own. What was cut from the text of
 * a whole batch would keep all of that for as long as it is remembered.
 */
function detached(text: string): string {
  return Buffer.from(text, "utf16le").toString("utf16le");
}
