import { openOf } from "../../model/state.ts";
import { anchorOf, shownOf } from "../state/shown.ts";
import type { TerminalState } from "../state/terminal-state.ts";
import { statusRow, titleRow, typingRow } from "./bars.ts";
import { type InputRows, layOutInput } from "./input-rows.ts";
import { type Layout, layoutOf, maxInputRows } from "./layout.ts";
import { listRows } from "./list-rows.ts";
import { piece, type Row } from "./row.ts";
import { look, type View } from "./viewport.ts";

/** What stands before the line being typed. */
export const prompt = "> ";

/** All that is on the screen. */
export interface Screen {
  layout: Layout;
  title: Row;
  /** Empty when the list is hidden. */
  list: Row[];
  /** As many as `layout.bodyHeight`. */
  body: Row[];
  typing: Row;
  status: Row;
  input: InputRows;
  /** Whether the oldest message that is loaded is on the screen, so that older ones are wanted. */
  atTop: boolean;
}

/** Draws the state. */
export function screenOf(state: TerminalState): Screen {
  const { layout, input } = arrange(state);
  const { columns, listWidth, bodyHeight } = layout;
  const { rows, atTop } = look(viewOf(state, layout));
  const note = atTop ? noteAbove(state) : undefined;
  const shown = note === undefined ? rows : [[piece(note, "faint")], ...rows].slice(-bodyHeight);
  const padding: Row[] = Array.from({ length: bodyHeight - shown.length }, () => []);
  return {
    layout,
    title: titleRow(state, columns),
    list: listWidth === 0 ? [] : padList(listRows(state, listWidth, bodyHeight), layout),
    // Messages gather above the line where one types; the first page starts at the top.
    body: state.openId === undefined ? [...shown, ...padding] : [...padding, ...shown],
    typing: typingRow(state, columns),
    status: statusRow(state, columns),
    input,
    atTop,
  };
}

/** Returns what of the open conversation is looked at. */
export function viewOf(state: TerminalState, layout = arrange(state).layout): View {
  const open = openOf(state);
  return {
    entries: shownOf(state),
    width: layout.bodyWidth - (layout.listWidth > 0 ? 1 : 0),
    height: layout.bodyHeight,
    userId: state.userId,
    peerReadSeq: open?.peerReadSeq ?? 0,
    anchor: anchorOf(state),
    newAfter: open?.newAfter,
  };
}

function arrange(state: TerminalState): { layout: Layout; input: InputRows } {
  const { size } = state;
  const width = Math.max(20, size.columns) - prompt.length - 1;
  const input = layOutInput(state.editor, width, maxInputRows(size));
  return { layout: layoutOf(size, input.rows.length), input };
}

function noteAbove(state: TerminalState): string | undefined {
  switch (openOf(state)?.timeline?.older) {
    case "loading":
      return " loading…";
    case "failed":
      return " older messages could not be loaded; PgUp tries again";
    default:
      return undefined;
  }
}

function padList(rows: Row[], { listWidth, bodyHeight }: Layout): Row[] {
  const blank = [piece(`${" ".repeat(listWidth - 1)}│`, "faint")];
  return [...rows, ...Array.from({ length: bodyHeight - rows.length }, () => blank)];
}
