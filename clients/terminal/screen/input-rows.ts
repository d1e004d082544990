import type { Editor } from "../input/editor.ts";
import { harmlessLine } from "../text/harmless.ts";
import { graphemesOf, widthOf } from "../text/width.ts";

/** What is typed, laid out. */
export interface InputRows {
  rows: string[];
  /** Where the cursor is, from the left end of the first row. */
  cursor: { x: number; y: number };
}

/** Lays out what is typed in at most `maxRows` rows, so that the cursor is among them. */
export function layOutInput({ text, cursor }: Editor, width: number, maxRows: number): InputRows {
  const rows: string[] = [""];
  let x = 0;
  let at = 0;
  let place = { x: 0, y: 0 };
  for (const grapheme of graphemesOf(text)) {
    if (at === cursor) place = { x, y: rows.length - 1 };
    at += grapheme.length;
    if (grapheme === "\n") {
      rows.push("");
      x = 0;
      continue;
    }
    const shown = harmlessLine(grapheme);
    const shownWidth = widthOf(shown);
    if (x + shownWidth > width) {
      rows.push("");
      x = 0;
      if (at - grapheme.length === cursor) place = { x, y: rows.length - 1 };
    }
    rows[rows.length - 1] += shown;
    x += shownWidth;
  }
  if (at === cursor) place = { x, y: rows.length - 1 };
  // The cursor behind a full row stands on the next.
  if (place.x >= width) {
    place = { x: 0, y: place.y + 1 };
    if (place.y === rows.length) rows.push("");
  }
  const first = Math.max(0, Math.min(place.y - Math.floor(maxRows / 2), rows.length - maxRows));
  return { rows: rows.slice(first, first + maxRows), cursor: { x: place.x, y: place.y - first } };
}
