/** A row of the screen: pieces of text, each with the name of its looks. */

import { cut, widthOf } from "../text/width.ts";

/** What a text is; the theme says how that looks. */
export type Look =
  | "plain"
  | "strong"
  | "faint"
  | "good"
  | "warning"
  | "bad"
  | "mark"
  | "bar"
  | "chosen"
  | `sender${0 | 1 | 2 | 3 | 4 | 5}`;

/** A piece of a row. Its text is harmless and has no line breaks. */
export interface Piece {
  text: string;
  look: Look;
}

/** One row of the screen. */
export type Row = readonly Piece[];

/** Makes a piece. */
export function piece(text: string, look: Look = "plain"): Piece {
  return { text, look };
}

/** Returns how many cells a row takes. */
export function rowWidth(row: Row): number {
  return row.reduce((sum, { text }) => sum + widthOf(text), 0);
}

/** Puts one row at the left and one at the right; what there is no room for is cut, at the right one first. */
export function spread(left: Row, right: Row, width: number, look: Look = "plain"): Row {
  const leftRow = cutRow(left, width);
  const room = width - rowWidth(leftRow);
  const rightRow = rowWidth(right) < room ? right : [];
  return [...leftRow, piece(" ".repeat(room - rowWidth(rightRow)), look), ...rightRow];
}

/** Cuts a row to a width. */
export function cutRow(row: Row, width: number): Row {
  const kept: Piece[] = [];
  let room = width;
  for (const { text, look } of row) {
    if (room <= 0) break;
    const short = cut(text, room);
    kept.push({ text: short, look });
    room -= widthOf(short);
  }
  return kept;
}
