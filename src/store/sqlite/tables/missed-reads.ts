import type { DatabaseSync } from "node:sqlite";
import type { LogEvent } from "../../../../wire/log-event.ts";
import type { CatchUpPage, Missed, MissedConversation, MissedPage } from "../../../model/records.ts";
import { type AudienceColumns, audienceOf, maySee } from "../../../rules/audience.ts";
import { selectEvents, selectWithAudience } from "./log-reads.ts";
import { Merge } from "./merge.ts";
import { ReadableRanges } from "./readable-ranges.ts";

/** Makes the reads of what devices have missed. Each runs inside one read transaction. */
export function createMissedReads(database: DatabaseSync) {
  const readable = new ReadableRanges(database);
  const selectPositions = Merge.prepare(database);
  const selectEvent = database.prepare(`${selectWithAudience} WHERE e.position = ?`);
  const selectVisibleFrom = database.prepare(`
    SELECT visible_from_seq AS seq FROM members
    WHERE user_id = :userId AND conversation = :conversation AND join_seq <= :seq
    UNION ALL
    SELECT from_seq FROM past_stays
    WHERE user_id = :userId AND conversation = :conversation AND from_seq <= :seq AND to_seq >= :seq
    LIMIT 1
  `);
  const selectAt = database.prepare(`${selectEvents} WHERE e.conversation = ? AND e.seq = ?`);
  const selectLast = database.prepare("SELECT ifnull(max(position), 0) AS position FROM events");
  const selectConversationId = database.prepare(
    "SELECT conversation_id AS id FROM conversations WHERE key = ?",
  );
  const selectKey = database.prepare("SELECT key FROM conversations WHERE conversation_id = ?");
  const visibleFrom = (userId: string, { conversationId, seq }: LogEvent) => {
    const conversation = Number(selectKey.get(conversationId)?.key);
    return Number(selectVisibleFrom.get({ userId, conversation, seq })?.seq);
  };
  const lastOr = (afterPosition: number) => Math.max(afterPosition, Number(selectLast.get()?.position));

  return {
    readMissed(userId: string, afterPosition: number, limit: number, maxBytes: number): CatchUpPage {
      const merge = new Merge(selectPositions, readable.above(userId, afterPosition));
      const events: LogEvent[] = [];
      const withheld: number[] = [];
      let bytes = 0;
      let position = merge.peek();
      while (position !== undefined && events.length < limit && bytes <= maxBytes) {
        const event = selectEvent.get(position) as unknown as LogEvent & AudienceColumns;
        const audience = audienceOf(event);
        if (audience !== undefined && !maySee(audience, userId, visibleFrom(userId, event)))
          withheld.push(position);
        events.push(event);
        bytes += event.body.length;
        merge.take();
        position = merge.peek();
      }
      const more = position !== undefined;
      return {
        events,
        withheld,
        through: more ? (events.at(-1)?.position ?? afterPosition) : lastOr(afterPosition),
        more,
      };
    },

    countMissed(userId: string, afterPosition: number, limit: number): Missed {
      let count = 0;
      for (const { fromSeq, toSeq } of readable.above(userId, afterPosition)) count += toSeq - fromSeq + 1;
      return { count: Math.min(count, limit + 1), through: lastOr(afterPosition) };
    },

    listMissed(
      userId: string,
      afterPosition: number,
      from: number,
      limit: number,
      maxBytes: number,
    ): MissedPage {
      // One more tells whether there is more.
      const runs = readable.missedRuns(userId, afterPosition, from, limit + 1);
      const conversations: MissedConversation[] = [];
      let bytes = 0;
      for (const { conversation, fromSeq, toSeq, isMember } of runs) {
        if (conversations.length === limit || bytes > maxBytes)
          return { conversations, next: runs[conversations.length - 1]?.conversation };
        const ended = isMember ? undefined : (selectAt.get(conversation, toSeq) as unknown as LogEvent);
        bytes += ended?.body.length ?? 0;
        const conversationId = String(selectConversationId.get(conversation)?.id);
        conversations.push({ conversationId, firstSeq: fromSeq, lastSeq: toSeq, ended });
      }
      return { conversations, next: undefined };
    },
  };
}
