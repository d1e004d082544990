import type { Size } from "../state/terminal-state.ts";

/** Who gets how much of the screen. */
export interface Layout {
  columns: number;
  rows: number;
  /** The list of conversations with the line beside it; 0 when it is hidden. */
  listWidth: number;
  bodyWidth: number;
  /** Rows between the title and the line that tells who types. */
  bodyHeight: number;
  inputHeight: number;
}

/** A terminal narrower than this shows no list. */
const listFromColumns = 60;
/** The rows that are always there: title, typing, status. */
const fixedRows = 3;

/** How many rows what is typed may take. */
export function maxInputRows({ rows }: Size): number {
  return Math.max(1, Math.min(5, Math.floor(rows / 4)));
}

/** Lays the screen out. */
export function layoutOf(size: Size, inputHeight: number): Layout {
  const columns = Math.max(20, size.columns);
  const rows = Math.max(fixedRows + 2, size.rows);
  const listWidth = columns < listFromColumns ? 0 : Math.min(32, Math.max(20, Math.floor(columns / 4)));
  return {
    columns,
    rows,
    listWidth,
    bodyWidth: columns - listWidth,
    bodyHeight: Math.max(1, rows - fixedRows - inputHeight),
    inputHeight,
  };
}
