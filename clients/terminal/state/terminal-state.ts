import { type ChatState, type Entry, emptyChat, type Outgoing } from "../../model/state.ts";
import type { ClientState } from "../../typescript/index.ts";
import { type Editor, emptyEditor } from "../input/editor.ts";

/** A line that the program says. */
export interface Line {
  kind: "line";
  /** The seq it comes after. */
  seq: number;
  timeMs: number;
  text: string;
  tone: "info" | "error";
}

/** Something that is shown, from top to bottom. */
export type Shown = Entry | Line | Outgoing;

/** Names the row at the bottom of the screen: row `row` of what `entry` shows. */
export interface Anchor {
  entry: Shown;
  row: number;
}

/** Holds what the terminal adds to a conversation, or to the first page. */
export interface Pane {
  lines: readonly Line[];
  /** Where the reader has scrolled to; not set at the end. */
  anchor?: Anchor;
  /** What was typed and not sent when another conversation was opened. */
  draft?: Editor;
}

/** How many columns and rows the terminal has. */
export interface Size {
  columns: number;
  rows: number;
}

/** All that is shown. */
export interface TerminalState extends ChatState {
  address: string;
  size: Size;
  connection: ClientState;
  /** By conversation; that of the first page, which is there while none is open, by undefined. */
  panes: ReadonlyMap<string | undefined, Pane>;
  editor: Editor;
  /** A word in the status line, until the next key or until the connection changes. */
  hint?: string;
}

const emptyPane: Pane = { lines: [] };

/** Returns the state before anything is known. */
export function emptyState(
  userId: string,
  address: string,
  connection: ClientState,
  size: Size,
): TerminalState {
  return { ...emptyChat(userId), address, size, connection, panes: new Map(), editor: emptyEditor };
}

/** Returns what the terminal adds to a conversation, by default to the one on the screen. */
export function paneOf(state: TerminalState, id = state.openId): Pane {
  return state.panes.get(id) ?? emptyPane;
}

/** Changes what the terminal adds to a conversation, or to the first page. */
export function changePane(
  state: TerminalState,
  id: string | undefined,
  change: (pane: Pane) => Pane,
): TerminalState {
  return { ...state, panes: new Map(state.panes).set(id, change(paneOf(state, id))) };
}

/** Returns how many messages are on their way. */
export function unsentOf({ conversations }: ChatState): number {
  let count = 0;
  for (const { outgoing } of conversations.values())
    count += outgoing.filter(({ state }) => state === "sending").length;
  return count;
}

/** Returns how many messages are unread, without those of the conversation on the screen. */
export function unreadElsewhere({ conversations, openId }: ChatState): number {
  let count = 0;
  for (const { id, unread } of conversations.values()) if (id !== openId) count += unread;
  return count;
}
