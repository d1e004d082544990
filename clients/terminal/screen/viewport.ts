/** Which rows of a conversation are on the screen. Only those are made. */

import type { Anchor, Shown } from "../state/terminal-state.ts";
import { widthOf } from "../text/width.ts";
import { type EntryFormat, rowsOfEntry } from "./entry-rows.ts";
import { piece, type Row } from "./row.ts";

/** What is looked at, and through how large a window. */
export interface View extends EntryFormat {
  entries: readonly Shown[];
  height: number;
  /** The row at the bottom; the last one when not set. */
  anchor?: Anchor | undefined;
  /** Messages above this seq are new. */
  newAfter?: number | undefined;
}

/** What is seen. */
export interface Seen {
  /** At most `height` rows, from top to bottom. */
  rows: Row[];
  /** Whether the first entry is on the screen from its first row. */
  atTop: boolean;
}

/** Returns the rows on the screen. */
export function look(view: View): Seen {
  const { height } = view;
  let { index, row } = bottomOf(view);
  const rows: Row[] = [];
  while (index >= 0 && rows.length < height) {
    const block = blockOf(view, index);
    for (row = Math.min(row, block.length - 1); row >= 0 && rows.length < height; row--) {
      rows.push(block[row] as Row);
    }
    if (row >= 0) break;
    index--;
    row = Number.POSITIVE_INFINITY;
  }
  return { rows: rows.reverse(), atTop: index < 0 };
}

/**
 * Scrolls by a number of rows, up when negative.
 *
 * @returns the new anchor, or undefined at the end
 */
export function scroll(view: View, by: number): Anchor | undefined {
  const { entries, height } = view;
  const heights = entries.map((_, i) => blockOf(view, i).length);
  const total = heights.reduce((sum, each) => sum + each, 0);
  const { index, row } = bottomOf(view);
  const now = heights.slice(0, Math.max(0, index)).reduce((sum, each) => sum + each, row);
  const next = Math.max(now + by, Math.min(height, total) - 1);
  if (next >= total - 1) return undefined;
  let rest = next;
  for (const [i, each] of heights.entries()) {
    if (rest < each) return { entry: entries[i] as Shown, row: rest };
    rest -= each;
  }
  return undefined;
}

/** Where the bottom is: at the anchor, or at the end when there is none, or its entry has gone. */
function bottomOf(view: View): { index: number; row: number } {
  const { entries, anchor } = view;
  const anchored = anchor === undefined ? -1 : entries.lastIndexOf(anchor.entry);
  const index = anchored < 0 ? entries.length - 1 : anchored;
  const lastRow = Math.max(0, blockOf(view, index).length - 1);
  return { index, row: anchored < 0 ? lastRow : Math.min(anchor?.row ?? lastRow, lastRow) };
}

/** Returns the rows of an entry with what stands above it: the day, and where the new messages begin. */
function blockOf(view: View, index: number): readonly Row[] {
  const entry = view.entries[index];
  if (entry === undefined) return [];
  const former = view.entries[index - 1];
  const rows = rowsOfEntry(entry, view);
  const above: Row[] = [];
  if (former === undefined || dayOf(former.timeMs) !== dayOf(entry.timeMs)) {
    above.push(rule(dayName(entry.timeMs), view.width, "faint"));
  }
  if (isFirstNew(view, former, entry)) above.push(rule("new", view.width, "warning"));
  return above.length === 0 ? rows : [...above, ...rows];
}

function isFirstNew({ newAfter, userId }: View, former: Shown | undefined, entry: Shown): boolean {
  if (newAfter === undefined || entry.kind !== "message" || entry.seq <= newAfter) return false;
  if (entry.senderId === userId) return false;
  return former === undefined || (former.kind !== "outgoing" && former.seq <= newAfter);
}

function rule(label: string, width: number, look: "faint" | "warning"): Row {
  const room = Math.max(0, width - widthOf(label) - 2);
  const before = Math.min(3, room);
  return [piece(`${"─".repeat(before)} ${label} ${"─".repeat(room - before)}`, look)];
}

function dayOf(timeMs: number): string {
  return new Date(timeMs).toDateString();
}

function dayName(timeMs: number): string {
  return new Date(timeMs).toLocaleDateString("en-GB", {
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
  });
}
