import { EventKind, type LogEvent, type SeqRange } from "../store.ts";
import type { Connections, Statement } from "./connections.ts";

/** Selects whole events; goes on with conditions on `e` and `c`. */
export const selectEvents = `
  SELECT e.position, c.conversation_id AS "conversationId", e.seq, e.kind, e.sender_id AS "senderId",
    e.accept_time_ms AS "acceptTimeMs", e.body
  FROM events e JOIN conversations c ON c.key = e.conversation
`;

const positionStatement: Statement = { name: "read_position", text: `${selectEvents} WHERE e.position = $1` };
const tailStatement: Statement = {
  name: "read_tail",
  text: `${selectEvents} WHERE e.position > $1 ORDER BY e.position LIMIT $2`,
};
const lastStatement: Statement = {
  name: "last_position",
  text: "SELECT last_position AS position FROM log_head",
};
const timeStatement: Statement = { name: "seq_at_time", text: "SELECT seq_at_time_1($1, $2) AS seq" };

/** Makes the reads of logs, whoever may read them. */
export function createLogReads(reads: Connections) {
  return {
    async readPosition(position: number): Promise<LogEvent | undefined> {
      return (await reads.run<LogEvent>(positionStatement, [position]))[0];
    },

    async readSeqs(conversationId: string, range: SeqRange): Promise<LogEvent[]> {
      if (conversationId.includes("\0")) return [];
      const { afterSeq, beforeSeq, limit, fromEnd } = range;
      const rows = await reads.run<LogEvent>(rangeStatement(range), [
        conversationId,
        afterSeq,
        beforeSeq,
        limit,
      ]);
      return fromEnd ? rows.reverse() : rows;
    },

    async seqAtTime(conversationId: string, timeMs: number): Promise<number> {
      if (conversationId.includes("\0")) return 1;
      const [row] = await reads.run<{ seq: number }>(timeStatement, [conversationId, timeMs]);
      return row?.seq ?? 1;
    },

    readTail: (afterPosition: number, limit: number): Promise<LogEvent[]> =>
      reads.run<LogEvent>(tailStatement, [afterPosition, limit]),

    async lastPosition(): Promise<number> {
      return (await reads.run<{ position: number }>(lastStatement, []))[0]?.position ?? 0;
    },
  };
}

function rangeStatement({ fromEnd, messagesOnly }: SeqRange): Statement {
  return {
    name: `read_seqs${fromEnd ? "_from_end" : ""}${messagesOnly ? "_messages" : ""}`,
    text: `
      ${selectEvents} WHERE e.conversation = (SELECT key FROM conversations WHERE conversation_id = $1)
        AND e.seq > $2 AND e.seq < $3 ${messagesOnly ? `AND e.kind = ${EventKind.MESSAGE}` : ""}
      ORDER BY e.seq ${fromEnd ? "DESC" : "ASC"} LIMIT $4
    `,
  };
}
