import type { Note } from "../../model/state.ts";
import { listOf, sentenceOf } from "../../model/words.ts";
import type { Line, Shown } from "../state/terminal-state.ts";
import { harmless, harmlessLine } from "../text/harmless.ts";
import { cut, widthOf } from "../text/width.ts";
import { wrap } from "../text/wrap.ts";
import { type Look, piece, type Row } from "./row.ts";

/** How an entry is shown. */
export interface EntryFormat {
  width: number;
  userId: string;
  /** Up to which seq the other user has read. */
  peerReadSeq: number;
}

/** Where text begins: behind the time and the mark. */
const indent = 9;
const maxNameWidth = 20;
/** The fewest cells of text in a line. */
const minTextWidth = 10;

interface Cached {
  width: number;
  mark: string;
  rows: readonly Row[];
}

/** Entries never change, so their rows are made once for a width. */
const cache = new WeakMap<Shown, Cached>();

/** Returns the rows of an entry. */
export function rowsOfEntry(entry: Shown, format: EntryFormat): readonly Row[] {
  const mark = markOf(entry, format);
  const cached = cache.get(entry);
  if (cached?.width === format.width && cached.mark === mark) return cached.rows;
  const rows = makeRows(entry, mark, format);
  cache.set(entry, { width: format.width, mark, rows });
  return rows;
}

/** Returns the look of a sender's name: the same one everywhere. */
export function lookOfSender(userId: string): Look {
  let hash = 0;
  for (const character of userId) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 9_973;
  return `sender${(hash % 6) as 0 | 1 | 2 | 3 | 4 | 5}`;
}

/** What stands between time and text: of one's own messages, how far they have got. */
function markOf(entry: Shown, { userId, peerReadSeq }: EntryFormat): string {
  if (entry.kind === "note") return "-";
  if (entry.kind === "line") return entry.tone === "error" ? "!" : "-";
  if (entry.kind === "outgoing") return entry.state === "sending" ? "…" : "✗";
  if (entry.senderId !== userId) return "";
  return entry.seq <= peerReadSeq ? "✓✓" : "✓";
}

function makeRows(entry: Shown, mark: string, { width, userId }: EntryFormat): readonly Row[] {
  const room = Math.max(minTextWidth, width - indent);
  const head = [piece(timeOf(entry.timeMs), "faint"), piece(` ${mark.padEnd(2)} `, markLook(entry))];
  const blank = piece(" ".repeat(indent));
  if (entry.kind === "note" || entry.kind === "line") {
    const text = entry.kind === "line" ? entry.text : sentenceOf(entry, (userIds) => listOf(userIds, 6));
    const lines = wrap(harmless(text), room);
    return lines.map((line, i) => [...(i === 0 ? head : [blank]), piece(line, noticeLook(entry))]);
  }
  const senderId = entry.kind === "outgoing" ? userId : entry.senderId;
  const name = `${cut(harmlessLine(senderId), Math.min(maxNameWidth, room - 6))}: `;
  const lines = wrap(harmless(entry.text), room, room - widthOf(name));
  const rows: Row[] = lines.map((line, i) =>
    i === 0 ? [...head, piece(name, lookOfSender(senderId)), piece(line)] : [blank, piece(line)],
  );
  if (entry.kind === "outgoing" && entry.state === "failed") {
    const why = wrap(`not sent: ${harmlessLine(entry.problem ?? "")} (/retry sends it again)`, room);
    rows.push(...why.map((line) => [blank, piece(line, "bad")]));
  }
  return rows;
}

function markLook(entry: Shown): Look {
  if (entry.kind === "message") return "good";
  if (entry.kind === "outgoing") return entry.state === "failed" ? "bad" : "warning";
  return noticeLook(entry);
}

function noticeLook(entry: Note | Line): Look {
  return entry.kind === "line" && entry.tone === "error" ? "bad" : "faint";
}

/** Returns the time of day, `14:05`. */
function timeOf(timeMs: number): string {
  const time = new Date(timeMs);
  return `${String(time.getHours()).padStart(2, "0")}:${String(time.getMinutes()).padStart(2, "0")}`;
}
