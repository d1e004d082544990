import type { CatchUpPage, LogEvent, Missed } from "../store.ts";
import { bigintArray } from "./binary-arrays.ts";
import type { Connections, Statement } from "./connections.ts";
import { selectEvents } from "./log-reads.ts";
import { firstPositions, mergePositions, type Stretch } from "./merge.ts";

/** What is a user's above a position, and how far that is true: one row for each stay, or one alone. */
const stretchesStatement: Statement = {
  name: "read_stretches",
  text: `
    SELECT h.last_position AS "lastPosition", s.conversation, s.from_seq AS "fromSeq", s.to_seq AS "toSeq", ARRAY(
      SELECT e.position FROM events e
      WHERE e.conversation = s.conversation AND e.seq >= s.from_seq
        AND e.seq <= least(s.to_seq, s.from_seq + ${firstPositions - 1})
      ORDER BY e.seq
    ) AS positions
    FROM log_head h LEFT JOIN LATERAL stays_above_1($1, $2) s ON true
  `,
};

const positionsStatement: Statement = {
  name: "read_positions",
  text: `
    SELECT ARRAY(
      SELECT e.position FROM events e
      WHERE e.conversation = s.conversation AND e.seq >= s.from_seq AND e.seq <= s.to_seq ORDER BY e.seq
    ) AS positions
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS s (conversation, from_seq, to_seq, n)
    ORDER BY s.n
  `,
};

/** The sizes of bodies are known without reading them, so none is read in vain. */
const eventsStatement: Statement = {
  name: "read_events",
  text: `
    SELECT q.* FROM (
      ${selectEvents.replace("SELECT", "SELECT sum(octet_length(e.body)) OVER (ORDER BY e.position) - octet_length(e.body) AS before,")}
      WHERE e.position = ANY ($1::bigint[])
    ) q
    WHERE q.before <= $2 ORDER BY q.position
  `,
};

const countStatement: Statement = {
  name: "count_missed",
  text: `
    SELECT h.last_position AS "lastPosition", c.conversation_id AS "conversationId",
      s.from_seq AS "fromSeq", s.to_seq AS "toSeq"
    FROM log_head h
    LEFT JOIN (stays_above_1($1, $2) s JOIN conversations c ON c.key = s.conversation) ON true
  `,
};

interface StretchRow {
  lastPosition: number;
  /** Null, like all that follows, when there is no stay. */
  conversation: number | null;
  fromSeq: number;
  toSeq: number;
  positions: number[];
}

/**
 * Makes the reads of what devices have missed. The first statement of each sees
 * one state of the store and says how far it goes; what further ones read below
 * that never changes.
 */
export function createMissedReads(reads: Connections) {
  async function readPositions(stretches: readonly Stretch[], count: number): Promise<number[][]> {
    const rows = await reads.run<{ positions: number[] }>(positionsStatement, [
      bigintArray(stretches.map(({ conversation }) => conversation)),
      bigintArray(stretches.map(({ nextSeq }) => nextSeq)),
      bigintArray(stretches.map(({ nextSeq, toSeq }) => Math.min(toSeq, nextSeq + count - 1))),
    ]);
    return rows.map(({ positions }) => positions);
  }

  return {
    async readMissed(
      userId: string,
      afterPosition: number,
      limit: number,
      maxBytes: number,
    ): Promise<CatchUpPage> {
      const rows = await reads.run<StretchRow>(stretchesStatement, [userId, afterPosition]);
      const last = Math.max(afterPosition, rows[0]?.lastPosition ?? 0);
      const stretches = rows.flatMap(({ conversation, fromSeq, toSeq, positions }) =>
        conversation === null
          ? []
          : [{ conversation, nextSeq: fromSeq + positions.length, toSeq, positions }],
      );
      // One more tells whether there is more.
      const positions = await mergePositions(stretches, limit + 1, readPositions);
      const wanted = positions.slice(0, limit);
      const found =
        wanted.length === 0
          ? []
          : await reads.run<LogEvent & { before: unknown }>(eventsStatement, [bigintArray(wanted), maxBytes]);
      const events = found.map(({ before: _, ...event }) => event);
      const more = events.length < positions.length;
      return { events, through: more ? (events.at(-1)?.position ?? afterPosition) : last, more };
    },

    async countMissed(userId: string, afterPosition: number, limit: number): Promise<Missed> {
      type Row = Omit<StretchRow, "conversation"> & { conversationId: string | null };
      const rows = await reads.run<Row>(countStatement, [userId, afterPosition]);
      const lastSeqs = new Map<string, number>();
      let count = 0;
      for (const { conversationId, fromSeq, toSeq } of rows) {
        if (conversationId === null) continue;
        lastSeqs.set(conversationId, Math.max(lastSeqs.get(conversationId) ?? 0, toSeq));
        count += toSeq - fromSeq + 1;
      }
      const through = Math.max(afterPosition, rows[0]?.lastPosition ?? 0);
      return { count: Math.min(count, limit + 1), lastSeqs, through };
    },
  };
}
