import type { Conversation, Message, Note, Outgoing } from "../../model/state.ts";
import { dayKey, dayName } from "./times.ts";

/** What a bubble shows: a message, or one of the user's own on its way. */
export interface Bubble {
  kind: "bubble";
  key: string;
  senderId: string;
  own: boolean;
  text: string;
  timeMs: number;
  /** Not set: the server has it. */
  outgoing?: Outgoing;
  /** Not set while it is on its way. */
  seq?: number;
  /** Whether it is the first, and the last, of several of the same sender. */
  first: boolean;
  last: boolean;
}

/** One line of the history as it is drawn. */
export type Row =
  | Bubble
  | { kind: "day"; key: string; label: string }
  | { kind: "unread"; key: string }
  | { kind: "start"; key: string }
  | { kind: "note"; key: string; note: Note };

/** Messages of the same sender within this time stand together. */
const togetherMs = 5 * 60_000;

/** Turns a conversation's history into lines: days between messages, senders together. */
export function rowsOf(conversation: Conversation, userId: string): Row[] {
  const { timeline, outgoing, newAfter } = conversation;
  const rows: Row[] = [];
  let day = "";
  let unreadShown = newAfter === undefined;

  function startDay(timeMs: number): void {
    if (dayKey(timeMs) === day) return;
    day = dayKey(timeMs);
    rows.push({ kind: "day", key: `day:${day}`, label: dayName(timeMs) });
  }

  if (timeline?.older === "none") rows.push({ kind: "start", key: "start" });
  for (const entry of timeline?.entries ?? []) {
    startDay(entry.timeMs);
    if (!unreadShown && entry.seq > (newAfter ?? 0) && entry.kind === "message") {
      unreadShown = true;
      rows.push({ kind: "unread", key: "unread" });
    }
    if (entry.kind === "note") rows.push({ kind: "note", key: `seq:${entry.seq}`, note: entry });
    else rows.push(bubbleOf(entry, userId));
  }
  for (const message of outgoing) {
    startDay(message.timeMs);
    rows.push(outgoingBubble(message, userId));
  }
  joinSenders(rows);
  return rows;
}

function bubbleOf({ seq, senderId, text, timeMs, clientMessageId }: Message, userId: string): Bubble {
  const own = senderId === userId;
  // The same key as while it was on its way, so that it stays the same element.
  const key = own && clientMessageId !== "" ? `own:${clientMessageId}` : `seq:${seq}`;
  return { kind: "bubble", key, senderId, own, text, timeMs, seq, first: true, last: true };
}

function outgoingBubble(outgoing: Outgoing, userId: string): Bubble {
  const { clientMessageId, text, timeMs } = outgoing;
  const key = `own:${clientMessageId}`;
  return {
    kind: "bubble",
    key,
    senderId: userId,
    own: true,
    text,
    timeMs,
    outgoing,
    first: true,
    last: true,
  };
}

function joinSenders(rows: Row[]): void {
  for (let i = 1; i < rows.length; i++) {
    const [above, below] = [rows[i - 1], rows[i]];
    if (above?.kind !== "bubble" || below?.kind !== "bubble" || above.senderId !== below.senderId) continue;
    if (below.timeMs - above.timeMs > togetherMs) continue;
    above.last = false;
    below.first = false;
  }
}
