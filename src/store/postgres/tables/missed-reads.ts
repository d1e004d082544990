import type { LogEvent } from "../../../../wire/log-event.ts";
import type { CatchUpPage, Missed, MissedPage } from "../../../model/records.ts";
import { type AudienceColumns, audienceOf, maySee } from "../../../rules/audience.ts";
import { bigintArray } from "../connection/binary-arrays.ts";
import type { Connections, Statement } from "../connection/connections.ts";
import { ofThisRelease } from "../connection/release.ts";
import { audienceColumns, eventColumns, eventTables, selectEvents } from "./log-reads.ts";
import { firstPositions, mergePositions, type Stretch } from "./merge.ts";

/** A stay of a user with events above a position, and how far that is true: one row for each stay, or one alone. */
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
    WHERE ${ofThisRelease}
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
      SELECT ${eventColumns}, ${audienceColumns}, CASE WHEN e.about_seq IS NOT NULL THEN coalesce(
          (SELECT m.visible_from_seq FROM members m
            WHERE m.user_id = $3 AND m.conversation = e.conversation AND m.join_seq <= e.seq),
          (SELECT min(p.from_seq) FROM past_stays p WHERE p.user_id = $3 AND p.to_position >= e.position
            AND p.conversation = e.conversation AND p.from_seq <= e.seq)
        ) END AS "visibleFromSeq",
        sum(octet_length(e.body)) OVER (ORDER BY e.position) - octet_length(e.body) AS before
      ${eventTables}
      WHERE e.position = ANY ($1::bigint[])
    ) q
    WHERE q.before <= $2 ORDER BY q.position
  `,
};

const countStatement: Statement = {
  name: "count_missed",
  text: `
    SELECT h.last_position AS "lastPosition",
      (SELECT coalesce(sum(s.to_seq - s.from_seq + 1), 0)::bigint FROM stays_above_1($1, $2) s) AS count
    FROM log_head h WHERE ${ofThisRelease}
  `,
};

/** Of several stays in one conversation the first begins lowest and ends lowest. */
const missedStatement: Statement = {
  name: "list_missed",
  text: `
    SELECT r.conversation AS key, c.conversation_id AS "conversationId",
      first_above_1(r.conversation, r.from_seq, r.first_to_seq, $2) AS "firstSeq", r.to_seq AS "lastSeq",
      NOT r.is_member AS "hasEnded", coalesce(octet_length(e.body), 0) AS "endedBytes"
    FROM (
      SELECT conversation, min(from_seq) AS from_seq, min(first_to_seq) AS first_to_seq, max(to_seq) AS to_seq,
        bool_or(is_member) AS is_member
      FROM (
        (SELECT p.conversation, min(p.from_seq) AS from_seq, min(p.to_seq) AS first_to_seq,
            max(p.to_seq) AS to_seq, false AS is_member
          FROM past_stays p WHERE p.user_id = $1 AND p.to_position > $2 AND p.conversation > $3
          GROUP BY p.conversation ORDER BY p.conversation LIMIT $4)
        UNION ALL
        (SELECT m.conversation, m.join_seq, c.last_seq, c.last_seq, true
          FROM members m JOIN conversations c ON c.key = m.conversation
          WHERE m.user_id = $1 AND m.conversation > $3 AND c.last_position > $2
          ORDER BY m.conversation LIMIT $4)
      ) stays
      GROUP BY conversation ORDER BY conversation LIMIT $4
    ) r
    JOIN conversations c ON c.key = r.conversation AND ${ofThisRelease}
    LEFT JOIN events e ON NOT r.is_member AND e.conversation = r.conversation AND e.seq = r.to_seq
    ORDER BY r.conversation
  `,
};

const endedStatement: Statement = {
  name: "read_ended",
  text: `
    ${selectEvents}
    JOIN unnest($1::bigint[], $2::bigint[]) AS w (conversation, seq) ON w.conversation = e.conversation AND w.seq = e.seq
  `,
};

interface MissedRow extends LogEvent, AudienceColumns {
  before: unknown;
  /** The first seq that the user may read; null where nothing depends on it, or nothing may be read. */
  visibleFromSeq: number | null;
}

interface RunRow {
  key: number;
  conversationId: string;
  firstSeq: number;
  lastSeq: number;
  hasEnded: boolean;
  endedBytes: number;
}

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
          : await reads.run<MissedRow>(eventsStatement, [bigintArray(wanted), maxBytes, userId]);
      const events: LogEvent[] = [];
      const withheld: number[] = [];
      for (const { before: _, aboutSeq, onlyUserIds, visibleFromSeq, ...event } of found) {
        const audience = audienceOf({ aboutSeq, onlyUserIds });
        if (audience !== undefined && !maySee(audience, userId, visibleFromSeq ?? Number.POSITIVE_INFINITY))
          withheld.push(event.position);
        events.push(event);
      }
      const more = events.length < positions.length;
      const through = more ? (events.at(-1)?.position ?? afterPosition) : last;
      return { events, withheld, through, more };
    },

    async countMissed(userId: string, afterPosition: number, limit: number): Promise<Missed> {
      const [row] = await reads.run<{ lastPosition: number; count: number }>(countStatement, [
        userId,
        afterPosition,
      ]);
      return {
        count: Math.min(row?.count ?? 0, limit + 1),
        through: Math.max(afterPosition, row?.lastPosition ?? 0),
      };
    },

    async listMissed(
      userId: string,
      afterPosition: number,
      from: number,
      limit: number,
      maxBytes: number,
    ): Promise<MissedPage> {
      // One more tells whether there is more.
      const rows = await reads.run<RunRow>(missedStatement, [userId, afterPosition, from, limit + 1]);
      const page: RunRow[] = [];
      let bytes = 0;
      for (const row of rows) {
        if (page.length === limit || bytes > maxBytes) break;
        page.push(row);
        bytes += row.endedBytes;
      }
      const ended = page.filter(({ hasEnded }) => hasEnded);
      const events =
        ended.length === 0
          ? []
          : await reads.run<LogEvent>(endedStatement, [
              bigintArray(ended.map(({ key }) => key)),
              bigintArray(ended.map(({ lastSeq }) => lastSeq)),
            ]);
      const eventOf = new Map(events.map((event) => [event.conversationId, event]));
      return {
        conversations: page.map(({ conversationId, firstSeq, lastSeq }) => ({
          conversationId,
          firstSeq,
          lastSeq,
          ended: eventOf.get(conversationId),
        })),
        next: page.length < rows.length ? page.at(-1)?.key : undefined,
      };
    },
  };
}
