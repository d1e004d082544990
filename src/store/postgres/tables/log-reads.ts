import { EventKind, type LogEvent } from "../../../../wire/log-event.ts";
import type { SeqRange } from "../../../model/records.ts";
import { type AudienceColumns, audienceOf } from "../../../rules/audience.ts";
import type { Connections, Statement } from "../connection/connections.ts";
import { ofThisRelease } from "../connection/release.ts";

/** The columns of whole events. */
export const eventColumns = `
  e.position, c.conversation_id AS "conversationId", e.seq, e.kind, e.sender_id AS "senderId",
  e.accept_time_ms AS "acceptTimeMs", e.body
`;
/** The columns of their audience. */
export const audienceColumns = 'e.about_seq AS "aboutSeq", e.only_user_ids AS "onlyUserIds"';
/** Where these are from; goes on with conditions on `e` and `c`. */
export const eventTables = `FROM events e JOIN conversations c ON c.key = e.conversation AND ${ofThisRelease}`;

/** Selects whole events; goes on with conditions on `e` and `c`. */
export const selectEvents = `SELECT ${eventColumns} ${eventTables}`;

const positionStatement: Statement = { name: "read_position", text: `${selectEvents} WHERE e.position = $1` };
const clientIdStatement: Statement = {
  name: "find_message",
  text: `${selectEvents} WHERE e.sender_id = $1 AND e.client_message_id = $2`,
};
const tailStatement: Statement = {
  name: "read_tail",
  text: `SELECT ${eventColumns}, ${audienceColumns} ${eventTables} WHERE e.position > $1 ORDER BY e.position LIMIT $2`,
};
const lastStatement: Statement = {
  name: "last_position",
  text: "SELECT last_position AS position FROM log_head",
};
const timeStatement: Statement = { name: "seq_at_time", text: "SELECT seq_at_time_1($1, $2) AS seq" };

/** Makes the reads of logs, whoever may read them. */
export function createLogReads(reads: Connections) {
  return {
    async findMessage(senderId: string, clientMessageId: string): Promise<LogEvent | undefined> {
      if (senderId.includes("\0")) return undefined;
      return (await reads.run<LogEvent>(clientIdStatement, [senderId, Buffer.from(clientMessageId)]))[0];
    },

    async readPosition(position: number): Promise<LogEvent | undefined> {
      return (await reads.run<LogEvent>(positionStatement, [position]))[0];
    },

    async readSeqs(conversationId: string, range: SeqRange): Promise<LogEvent[]> {
      if (conversationId.includes("\0")) return [];
      const { afterSeq, beforeSeq, limit, maxBytes = Number.MAX_SAFE_INTEGER, fromEnd } = range;
      const values = [conversationId, afterSeq, beforeSeq, limit, maxBytes];
      const rows = await reads.run<LogEvent & { before: unknown }>(rangeStatement(range), values);
      const events = rows.map(({ before: _, ...event }) => event);
      return fromEnd ? events.reverse() : events;
    },

    async seqAtTime(conversationId: string, timeMs: number): Promise<number> {
      if (conversationId.includes("\0")) return 1;
      const [row] = await reads.run<{ seq: number }>(timeStatement, [conversationId, timeMs]);
      return row?.seq ?? 1;
    },

    async readTail(afterPosition: number, limit: number): Promise<LogEvent[]> {
      const rows = await reads.run<LogEvent & AudienceColumns>(tailStatement, [afterPosition, limit]);
      return rows.map(({ aboutSeq, onlyUserIds, ...event }) => {
        const audience = audienceOf({ aboutSeq, onlyUserIds });
        return audience === undefined ? event : { ...event, audience };
      });
    },

    async lastPosition(): Promise<number> {
      return (await reads.run<{ position: number }>(lastStatement, []))[0]?.position ?? 0;
    },
  };
}

/** The sizes of bodies are known without reading them, so none is read in vain. */
function rangeStatement({ fromEnd, messagesOnly }: SeqRange): Statement {
  const order = fromEnd ? "DESC" : "ASC";
  return {
    name: `read_seqs${fromEnd ? "_from_end" : ""}${messagesOnly ? "_messages" : ""}`,
    text: `
      SELECT q.* FROM (
        SELECT p.*, sum(octet_length(p.body)) OVER (ORDER BY p.seq ${order}) - octet_length(p.body) AS before FROM (
          ${selectEvents} WHERE e.conversation = (SELECT key FROM conversations WHERE conversation_id = $1)
            AND e.seq > $2 AND e.seq < $3 ${messagesOnly ? `AND e.kind = ${EventKind.MESSAGE}` : ""}
          ORDER BY e.seq ${order} LIMIT $4
        ) p
      ) q
      WHERE q.before <= $5 ORDER BY q.seq ${order}
    `,
  };
}
