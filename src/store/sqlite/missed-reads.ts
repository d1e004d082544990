import type { DatabaseSync } from "node:sqlite";
import type { CatchUpPage, LogEvent, Missed } from "../store.ts";
import { selectEvents } from "./log-reads.ts";
import { Merge } from "./merge.ts";
import { Stays } from "./stays.ts";

/** Makes the reads of what devices have missed. Each runs inside one read transaction. */
export function createMissedReads(database: DatabaseSync) {
  const stays = new Stays(database);
  const selectPositions = Merge.prepare(database);
  const selectEvent = database.prepare(`${selectEvents} WHERE e.position = ?`);
  const selectLast = database.prepare("SELECT ifnull(max(position), 0) AS position FROM events");
  const selectConversationId = database.prepare(
    "SELECT conversation_id AS id FROM conversations WHERE key = ?",
  );
  const lastOr = (afterPosition: number) => Math.max(afterPosition, Number(selectLast.get()?.position));

  return {
    readMissed(userId: string, afterPosition: number, limit: number, maxBytes: number): CatchUpPage {
      const merge = new Merge(selectPositions, stays.above(userId, afterPosition));
      const events: LogEvent[] = [];
      let bytes = 0;
      let position = merge.peek();
      while (position !== undefined && events.length < limit && bytes <= maxBytes) {
        const event = selectEvent.get(position) as unknown as LogEvent;
        events.push(event);
        bytes += event.body.length;
        merge.take();
        position = merge.peek();
      }
      const more = position !== undefined;
      return {
        events,
        through: more ? (events.at(-1)?.position ?? afterPosition) : lastOr(afterPosition),
        more,
      };
    },

    countMissed(userId: string, afterPosition: number, limit: number): Missed {
      const lastSeqs = new Map<string, number>();
      let count = 0;
      for (const { conversation, fromSeq, toSeq } of stays.above(userId, afterPosition)) {
        const id = String(selectConversationId.get(conversation)?.id);
        lastSeqs.set(id, Math.max(lastSeqs.get(id) ?? 0, toSeq));
        count += toSeq - fromSeq + 1;
      }
      return { count: Math.min(count, limit + 1), lastSeqs, through: lastOr(afterPosition) };
    },
  };
}
