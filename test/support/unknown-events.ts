/** Events of the log as only later releases write them, of kind 99. */

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { systemClock } from "../../src/model/clock.ts";
import type { AudienceColumns } from "../../src/rules/audience.ts";
import { checksumOf } from "../../src/store/sqlite/file/checksum.ts";
import { Log } from "../../src/store/sqlite/tables/log.ts";
import type { Audience } from "../../wire/log-event.ts";
import type { TestPostgres } from "./postgres.ts";

/** The number of the kind. */
export const unknownKind = 99;
/** The number of its field. */
export const unknownField = 100 + unknownKind;

/** What is stored of such an event: a field of `ServerEvent` that no release knows yet. */
export function unknownBody(text: string): Uint8Array {
  return new BinaryWriter().tag(unknownField, WireType.LengthDelimited).string(text).finish();
}

/** Appends such events to a conversation in a SQLite file that no server has open, one for each audience. */
export function appendUnknownToFile(
  path: string,
  conversationId: string,
  audiences: readonly (Audience | undefined)[],
): void {
  const database = new DatabaseSync(path);
  try {
    const log = new Log(database, systemClock);
    log.refresh();
    const key = log.keyOf(conversationId);
    if (key === undefined) throw new Error(`there is no conversation ${conversationId}`);
    const limit = database.prepare(
      "UPDATE events SET about_seq = ?, only_user_ids = ?, checksum = ? WHERE position = ?",
    );
    for (const [n, audience] of audiences.entries()) {
      const body = unknownBody(`unknown ${n + 1}`);
      const place = log.append(key, unknownKind, "later", null, body);
      if (place === undefined || audience === undefined) continue;
      const { aboutSeq, onlyUserIds } = columnsOf(audience);
      const event = { ...place, conversation: key, kind: unknownKind, body, aboutSeq, onlyUserIds };
      limit.run(aboutSeq, onlyUserIds, checksumOf(event), place.position);
    }
  } finally {
    database.close();
  }
}

/** Appends so many such events, for everybody, to the data of a server that does not run. */
export function appendUnknown(dataDir: string, conversationId: string, count: number): void {
  appendUnknownToFile(join(dataDir, "parlance.db"), conversationId, Array(count).fill(undefined));
}

/** Appends such an event to a conversation in a database, as a node of a later release does. */
export async function appendUnknownTo(
  postgres: TestPostgres,
  databaseUrl: string,
  conversationId: string,
  audience: Audience = {},
): Promise<void> {
  const body = Buffer.from(unknownBody("unknown")).toString("hex");
  const { aboutSeq, onlyUserIds } = columnsOf(audience);
  const userIds = onlyUserIds === null ? "NULL" : `'${onlyUserIds}'`;
  await postgres.query(
    databaseUrl,
    `
    SET search_path = parlance;
    BEGIN;
    UPDATE conversations SET last_seq = last_seq + 1 WHERE conversation_id = '${conversationId}';
    UPDATE log_head SET last_position = last_position + 1;
    UPDATE conversations SET last_position = log_head.last_position FROM log_head
      WHERE conversation_id = '${conversationId}';
    INSERT INTO events
        (position, conversation, seq, accept_time_ms, kind, sender_id, body, about_seq, only_user_ids)
      SELECT c.last_position, key, last_seq, last_time_ms, ${unknownKind}, 'later', decode('${body}', 'hex'),
        ${aboutSeq}, ${userIds}
      FROM log_head, conversations c WHERE conversation_id = '${conversationId}';
    COMMIT;
    `,
  );
}

function columnsOf({ aboutSeq, userIds }: Audience): AudienceColumns {
  return { aboutSeq: aboutSeq ?? null, onlyUserIds: userIds === undefined ? null : JSON.stringify(userIds) };
}
