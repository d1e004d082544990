import { EventKind, type LogEvent } from "../../../../wire/log-event.ts";
import type { Access, ConversationRecord } from "../../../model/records.ts";
import { textArray } from "../connection/binary-arrays.ts";
import type { Connections, Statement } from "../connection/connections.ts";
import { ofThisRelease } from "../connection/release.ts";

/** How far unread messages are counted, and how many events are looked at for that. */
const maxUnread = 10_000;
const maxUnreadScan = 20_000;
/** How many events are looked at for the last message, and for the first unread one. */
const maxMessageScan = 1_000;

/** Adds what is unread and the last message to rows `r` of members and their conversations. */
const recordColumns = `
  r.conversation_id AS "conversationId", r.last_seq AS "lastSeq", r.last_position AS "lastPosition",
  r.read_seq AS "readSeq", u.count AS "unreadCount", l.position, l.seq, l.kind, l.sender_id AS "senderId",
  l.accept_time_ms AS "acceptTimeMs", l.body
`;
const recordJoins = `
  CROSS JOIN LATERAL (
    SELECT count(*) AS count FROM (
      SELECT FROM events
      WHERE conversation = r.key AND seq > greatest(r.read_seq, r.visible_from_seq - 1, r.last_seq - ${maxUnreadScan})
        AND kind = ${EventKind.MESSAGE} AND sender_id <> $1
      LIMIT ${maxUnread}
    ) unread
  ) u
  LEFT JOIN LATERAL (
    SELECT * FROM events
    WHERE conversation = r.key AND seq >= greatest(r.visible_from_seq, r.last_seq - ${maxMessageScan - 1})
      AND kind = ${EventKind.MESSAGE}
    ORDER BY seq DESC LIMIT 1
  ) l ON true
`;

const accessStatement: Statement = {
  name: "access",
  text: `
    SELECT c.last_seq AS "lastSeq", m.read_seq AS "readSeq", m.visible_from_seq AS "visibleFromSeq"
    FROM conversations c JOIN members m ON m.user_id = $1 AND m.conversation = c.key
    WHERE c.conversation_id = $2 AND ${ofThisRelease}
  `,
};

const getStatement: Statement = {
  name: "get_conversation",
  text: `
    SELECT ${recordColumns} FROM (
      SELECT c.*, m.read_seq, m.visible_from_seq
      FROM conversations c JOIN members m ON m.user_id = $1 AND m.conversation = c.key
      WHERE c.conversation_id = $2 AND ${ofThisRelease}
    ) r ${recordJoins}
  `,
};

const listStatement: Statement = {
  name: "list_conversations",
  text: `
    SELECT q.* FROM (
      SELECT p.*, sum(coalesce(octet_length(p.body), 0)) OVER (ORDER BY p."lastPosition" DESC)
        - coalesce(octet_length(p.body), 0) AS before
      FROM (
        SELECT ${recordColumns} FROM (
          SELECT c.*, m.read_seq, m.visible_from_seq
          FROM members m JOIN conversations c ON c.key = m.conversation
          WHERE m.user_id = $1 AND c.last_position < $2 AND ${ofThisRelease}
          ORDER BY c.last_position DESC
        ) r ${recordJoins}
        WHERE NOT $3 OR u.count > 0
        ORDER BY r.last_position DESC LIMIT $4
      ) p
    ) q
    WHERE q.before <= $5 ORDER BY q."lastPosition" DESC
  `,
};

/**
 * Where only the user's own messages were seen it starts after those: rather a
 * little too much than a message too few.
 */
const firstUnreadStatement: Statement = {
  name: "first_unread",
  text: `
    SELECT coalesce(min(coalesce(f.position, s.position)), max(h.last_position) + 1) - 1 AS position
    FROM log_head h
    LEFT JOIN (
      SELECT c.key, greatest(m.read_seq, m.join_seq - 1) AS after_seq
      FROM members m JOIN conversations c ON c.key = m.conversation
      WHERE m.user_id = $1 AND c.last_seq > greatest(m.read_seq, m.join_seq - 1)
    ) r ON true
    LEFT JOIN LATERAL (
      SELECT position FROM events
      WHERE conversation = r.key AND seq > r.after_seq AND seq <= r.after_seq + ${maxMessageScan}
        AND kind = ${EventKind.MESSAGE} AND sender_id <> $1
      ORDER BY seq LIMIT 1
    ) f ON true
    LEFT JOIN events s ON f.position IS NULL AND s.conversation = r.key AND s.seq = r.after_seq + ${maxMessageScan + 1}
    WHERE ${ofThisRelease}
  `,
};

const inConversationStatement: Statement = {
  name: "in_conversation_with",
  text: `
    SELECT u.user_id AS "userId" FROM unnest($2::text[]) AS u (user_id)
    WHERE EXISTS (
      SELECT FROM members a JOIN members b ON b.conversation = a.conversation
      WHERE a.user_id = $1 AND b.user_id = u.user_id
    )
  `,
};

type Row = Omit<ConversationRecord, "lastMessage"> & Omit<LogEvent, "position"> & { position: number | null };

/** Makes the reads of conversations as one of their members sees them. */
export function createConversationReads(reads: Connections) {
  return {
    async access(userId: string, conversationId: string): Promise<Access | undefined> {
      if (conversationId.includes("\0")) return undefined;
      return (await reads.run<Access>(accessStatement, [userId, conversationId]))[0];
    },

    async listConversations(
      userId: string,
      beforePosition: number,
      unreadOnly: boolean,
      limit: number,
      maxBytes = Number.MAX_SAFE_INTEGER,
    ): Promise<ConversationRecord[]> {
      const rows = await reads.run<Row>(listStatement, [userId, beforePosition, unreadOnly, limit, maxBytes]);
      return rows.map(toRecord);
    },

    async getConversation(userId: string, conversationId: string): Promise<ConversationRecord | undefined> {
      if (conversationId.includes("\0")) return undefined;
      return (await reads.run<Row>(getStatement, [userId, conversationId])).map(toRecord)[0];
    },

    async inConversationWith(userId: string, userIds: readonly string[]): Promise<string[]> {
      const rows = await reads.run<{ userId: string }>(inConversationStatement, [userId, textArray(userIds)]);
      return rows.map((row) => row.userId);
    },

    async firstUnreadPosition(userId: string): Promise<number> {
      return (await reads.run<{ position: number }>(firstUnreadStatement, [userId]))[0]?.position ?? 0;
    },
  };
}

function toRecord(row: Row): ConversationRecord {
  const { conversationId, lastSeq, lastPosition, readSeq, unreadCount } = row;
  const { position, seq, kind, senderId, acceptTimeMs, body } = row;
  const lastMessage =
    position === null ? undefined : { position, conversationId, seq, kind, senderId, acceptTimeMs, body };
  return { conversationId, lastSeq, lastPosition, readSeq, unreadCount, lastMessage };
}
