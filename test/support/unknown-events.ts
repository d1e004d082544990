/** Events of the log as only later releases write them, of kind 99. */

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Log } from "../../src/store/sqlite/log.ts";
import type { TestPostgres } from "./postgres.ts";

/** The number of the kind. */
export const unknownKind = 99;
/** The number of its field. */
export const unknownField = 100 + unknownKind;

/** What is stored of such an event: a field of `ServerEvent` that no release knows yet. */
export function unknownBody(text: string): Uint8Array {
  return new BinaryWriter().tag(unknownField, WireType.LengthDelimited).string(text).finish();
}

/** Appends such events to a conversation in a SQLite store that no server has open. */
export function appendUnknown(dataDir: string, conversationId: string, count: number): void {
  const database = new DatabaseSync(join(dataDir, "parlance.db"));
  try {
    const log = new Log(database);
    log.refresh();
    const key = log.keyOf(conversationId);
    if (key === undefined) throw new Error(`there is no conversation ${conversationId}`);
    for (let n = 1; n <= count; n++) log.append(key, unknownKind, "later", null, unknownBody(`unknown ${n}`));
  } finally {
    database.close();
  }
}

/** Appends such an event to a conversation in a database, as a node of a later release does. */
export async function appendUnknownTo(
  postgres: TestPostgres,
  databaseUrl: string,
  conversationId: string,
): Promise<void> {
  const body = Buffer.from(unknownBody("unknown")).toString("hex");
  await postgres.query(
    databaseUrl,
    `
    SET search_path = parlance;
    BEGIN;
    UPDATE conversations SET last_seq = last_seq + 1 WHERE conversation_id = '${conversationId}';
    UPDATE log_head SET last_position = last_position + 1;
    UPDATE conversations SET last_position = log_head.last_position FROM log_head
      WHERE conversation_id = '${conversationId}';
    INSERT INTO events (position, conversation, seq, accept_time_ms, kind, sender_id, body)
      SELECT c.last_position, key, last_seq, last_time_ms, ${unknownKind}, 'later', decode('${body}', 'hex')
      FROM log_head, conversations c WHERE conversation_id = '${conversationId}';
    COMMIT;
    `,
  );
}
