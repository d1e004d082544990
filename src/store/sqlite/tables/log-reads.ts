import type { DatabaseSync } from "node:sqlite";
import { EventKind, type LogEvent } from "../../../../wire/log-event.ts";
import type { SeqRange } from "../../../model/records.ts";
import { type AudienceColumns, audienceOf } from "../../../rules/audience.ts";
import { takeWithin } from "../../take-within.ts";

const eventColumns = `
  e.position, c.conversation_id AS conversationId, e.seq, e.kind, e.sender_id AS senderId,
  e.accept_time_ms AS acceptTimeMs, e.body
`;
const eventTables = "FROM events e JOIN conversations c ON c.key = e.conversation";

/** Selects whole events; goes on with conditions on `e` and `c`. */
export const selectEvents = `SELECT ${eventColumns} ${eventTables}`;
/** Selects the same with the columns of their audience. */
export const selectWithAudience = `
  SELECT ${eventColumns}, e.about_seq AS aboutSeq, e.only_user_ids AS onlyUserIds ${eventTables}
`;

/** Makes the reads of logs, whoever may read them. */
export function createLogReads(database: DatabaseSync) {
  const byPosition = database.prepare(`${selectEvents} WHERE e.position = ?`);
  const byClientId = database.prepare(`${selectEvents} WHERE e.client_message_id = ? AND e.sender_id = ?`);
  const tail = database.prepare(`${selectWithAudience} WHERE e.position > ? ORDER BY e.position LIMIT ?`);
  const last = database.prepare("SELECT ifnull(max(position), 0) AS position FROM events");
  const selectKey = database.prepare("SELECT key FROM conversations WHERE conversation_id = ?");
  const selectHead = database.prepare("SELECT ifnull(max(seq), 0) AS seq FROM events WHERE conversation = ?");
  const selectTime = database.prepare(
    "SELECT accept_time_ms AS timeMs FROM events WHERE conversation = ? AND seq = ?",
  );
  const rangeSql = (direction: "ASC" | "DESC", condition: string) => `
    ${selectEvents} WHERE c.conversation_id = ? AND e.seq > ? AND e.seq < ? ${condition}
    ORDER BY e.seq ${direction} LIMIT ?
  `;
  const ofKind = `AND e.kind = ${EventKind.MESSAGE}`;
  const ranges = {
    all: { up: database.prepare(rangeSql("ASC", "")), down: database.prepare(rangeSql("DESC", "")) },
    messages: {
      up: database.prepare(rangeSql("ASC", ofKind)),
      down: database.prepare(rangeSql("DESC", ofKind)),
    },
  };

  return {
    findMessage(senderId: string, clientMessageId: string): LogEvent | undefined {
      return byClientId.get(clientMessageId, senderId) as LogEvent | undefined;
    },

    readPosition(position: number): LogEvent | undefined {
      return byPosition.get(position) as LogEvent | undefined;
    },

    readSeqs(conversationId: string, range: SeqRange): LogEvent[] {
      const { up, down } = range.messagesOnly ? ranges.messages : ranges.all;
      const statement = range.fromEnd ? down : up;
      const { afterSeq, beforeSeq, limit, maxBytes, fromEnd } = range;
      const rows = statement.iterate(
        conversationId,
        afterSeq,
        beforeSeq,
        limit,
      ) as unknown as Iterable<LogEvent>;
      const events = takeWithin(rows, maxBytes, ({ body }) => body.length);
      return fromEnd ? events.reverse() : events;
    },

    seqAtTime(conversationId: string, timeMs: number): number {
      const key = selectKey.get(conversationId)?.key;
      if (key === undefined) return 1;
      let low = 1;
      let high = Number(selectHead.get(key)?.seq) + 1;
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        if (Number(selectTime.get(key, middle)?.timeMs) < timeMs) low = middle + 1;
        else high = middle;
      }
      return low;
    },

    readTail(afterPosition: number, limit: number): LogEvent[] {
      const rows = tail.all(afterPosition, limit) as unknown as (LogEvent & AudienceColumns)[];
      for (const row of rows) {
        const audience = audienceOf(row);
        if (audience !== undefined) row.audience = audience;
      }
      return rows;
    },

    lastPosition(): number {
      return Number(last.get()?.position);
    },
  };
}
