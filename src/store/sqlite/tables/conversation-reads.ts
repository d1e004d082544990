import type { DatabaseSync } from "node:sqlite";
import { EventKind, type LogEvent } from "../../../../wire/log-event.ts";
import type { Access, ConversationRecord } from "../../../model/records.ts";
import { selectEvents } from "./log-reads.ts";

/** How far unread messages are counted, and how many events are looked at for that. */
const maxUnread = 10_000;
const maxUnreadScan = 20_000;
/** How many events are looked at for the last message, and for the first unread one. */
const maxMessageScan = 1_000;

interface MemberRow {
  conversation: number;
  conversationId: string;
  readSeq: number;
  visibleFromSeq: number;
  lastPosition: number;
}

const headOf = (column: "seq" | "position") =>
  `(SELECT ${column} FROM events e WHERE e.conversation = m.conversation ORDER BY seq DESC LIMIT 1)`;

/** Makes the reads of conversations as one of their members sees them. */
export function createConversationReads(database: DatabaseSync) {
  const memberColumns = `
    m.conversation, c.conversation_id AS conversationId, m.read_seq AS readSeq,
    m.visible_from_seq AS visibleFromSeq, ${headOf("position")} AS lastPosition
  `;
  const selectMember = database.prepare(`
    SELECT ${memberColumns} FROM conversations c JOIN members m ON m.user_id = ? AND m.conversation = c.key
    WHERE c.conversation_id = ?
  `);
  const selectMembers = database.prepare(`
    SELECT * FROM (
      SELECT ${memberColumns} FROM members m JOIN conversations c ON c.key = m.conversation WHERE m.user_id = ?
    ) WHERE lastPosition < ? ORDER BY lastPosition DESC
  `);
  const selectSeq = database.prepare("SELECT seq FROM events WHERE position = ?");
  const countUnread = database.prepare(`
    SELECT count(*) AS count FROM (
      SELECT 1 FROM events
      WHERE conversation = ? AND seq > ? AND kind = ${EventKind.MESSAGE} AND sender_id <> ? LIMIT ${maxUnread}
    )
  `);
  const selectLastMessage = database.prepare(`
    ${selectEvents} WHERE e.conversation = ? AND e.seq >= ? AND e.kind = ${EventKind.MESSAGE}
    ORDER BY e.seq DESC LIMIT 1
  `);
  const selectUnreadStays = database.prepare(`
    SELECT conversation, afterSeq, lastSeq FROM (
      SELECT m.conversation, max(m.read_seq, m.join_seq - 1) AS afterSeq, ${headOf("seq")} AS lastSeq
      FROM members m WHERE m.user_id = ?
    ) WHERE lastSeq > afterSeq
  `);
  const selectFirstUnread = database.prepare(`
    SELECT position FROM events
    WHERE conversation = ? AND seq > ? AND seq <= ? AND kind = ${EventKind.MESSAGE} AND sender_id <> ?
    ORDER BY seq LIMIT 1
  `);
  const selectPosition = database.prepare("SELECT position FROM events WHERE conversation = ? AND seq = ?");
  const selectLast = database.prepare("SELECT ifnull(max(position), 0) AS position FROM events");

  const selectConversations = database.prepare("SELECT conversation FROM members WHERE user_id = ?");

  function toRecord(userId: string, row: MemberRow): ConversationRecord {
    const { conversation, conversationId, readSeq, visibleFromSeq, lastPosition } = row;
    const lastSeq = Number(selectSeq.get(lastPosition)?.seq);
    const afterSeq = Math.max(readSeq, visibleFromSeq - 1, lastSeq - maxUnreadScan);
    const unreadCount =
      afterSeq >= lastSeq ? 0 : Number(countUnread.get(conversation, afterSeq, userId)?.count);
    const fromSeq = Math.max(visibleFromSeq, lastSeq - maxMessageScan + 1);
    const lastMessage = selectLastMessage.get(conversation, fromSeq) as LogEvent | undefined;
    return { conversationId, lastSeq, lastPosition, readSeq, unreadCount, lastMessage };
  }

  return {
    access(userId: string, conversationId: string): Access | undefined {
      const row = selectMember.get(userId, conversationId) as MemberRow | undefined;
      if (row === undefined) return undefined;
      const { readSeq, visibleFromSeq, lastPosition } = row;
      return { lastSeq: Number(selectSeq.get(lastPosition)?.seq), readSeq, visibleFromSeq };
    },

    listConversations(
      userId: string,
      beforePosition: number,
      unreadOnly: boolean,
      limit: number,
      maxBytes = Number.MAX_SAFE_INTEGER,
    ): ConversationRecord[] {
      const records: ConversationRecord[] = [];
      let bytes = 0;
      for (const row of selectMembers.iterate(userId, beforePosition)) {
        if (records.length >= limit || bytes > maxBytes) break;
        const record = toRecord(userId, row as unknown as MemberRow);
        if (unreadOnly && record.unreadCount === 0) continue;
        records.push(record);
        bytes += record.lastMessage?.body.length ?? 0;
      }
      return records;
    },

    getConversation(userId: string, conversationId: string): ConversationRecord | undefined {
      const row = selectMember.get(userId, conversationId) as MemberRow | undefined;
      return row === undefined ? undefined : toRecord(userId, row);
    },

    inConversationWith(userId: string, userIds: readonly string[]): string[] {
      const own = new Set(selectConversations.all(userId).map(({ conversation }) => conversation));
      return userIds.filter((other) => {
        for (const { conversation } of selectConversations.iterate(other))
          if (own.has(conversation)) return true;
        return false;
      });
    },

    firstUnreadPosition(userId: string): number {
      let first = Number(selectLast.get()?.position) + 1;
      for (const { conversation, afterSeq, lastSeq } of selectUnreadStays.all(userId)) {
        const scanned = Number(afterSeq) + maxMessageScan;
        // Where only the user's own messages were seen it starts after those:
        // rather a little too much than a message too few.
        const found =
          selectFirstUnread.get(conversation as number, afterSeq as number, scanned, userId) ??
          (scanned < Number(lastSeq) ? selectPosition.get(conversation as number, scanned + 1) : undefined);
        if (found !== undefined) first = Math.min(first, Number(found.position));
      }
      return first - 1;
    },
  };
}
