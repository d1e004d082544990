/** What the terminal knows. All of it is replaced, never changed in place. */

import type { ClientState, Target } from "../../typescript/index.ts";
import { type Editor, emptyEditor } from "../input/editor.ts";

/** A message of the log. */
export interface Message {
  kind: "message";
  seq: number;
  senderId: string;
  text: string;
  timeMs: number;
  clientMessageId: string;
}

/** A line between messages: what happened to a group, or what the program has to say. */
export interface Notice {
  kind: "notice";
  /** Its seq as an event of the log; for what the program says, the seq it comes after. */
  seq: number;
  timeMs: number;
  text: string;
  /** `event`: of the log. `info` and `error`: of this program alone. */
  tone: "event" | "info" | "error";
}

/** A message of one's own that the server has not confirmed. */
export interface Outgoing {
  kind: "outgoing";
  clientMessageId: string;
  text: string;
  timeMs: number;
  state: "sending" | "failed";
  /** Why it failed. */
  problem?: string;
}

/** What a conversation shows, from top to bottom. */
export type Entry = Message | Notice | Outgoing;

/** The loaded part of a conversation: its newest entries, without holes. */
export interface Timeline {
  /** Tells it from one that was begun anew, to which a page on its way no longer fits. */
  readonly id: symbol;
  /** In the order of seq. */
  entries: readonly (Message | Notice)[];
  /** What is known of messages before the first entry. */
  older: "more" | "loading" | "failed" | "none";
}

/** Which row is at the bottom of the screen: row `row` of what `entry` shows. */
export interface Anchor {
  entry: Entry;
  row: number;
}

/** A conversation as the terminal knows it. */
export interface Conversation {
  id: string;
  target: Target;
  /** The group's name, when it has one. */
  name?: string;
  memberCount?: number;
  /** The user is no longer a member. */
  left?: boolean;
  lastSeq: number;
  readSeq: number;
  unread: number;
  /** When something was last said, in milliseconds since 1970; 0 when never. */
  activityMs: number;
  /** Up to which seq the other user of a direct conversation has read. */
  peerReadSeq: number;
  /** Not set until the conversation is opened. */
  timeline?: Timeline;
  /** What happened to the group in this run before the conversation was opened; the history holds messages only. */
  notices: readonly Notice[];
  outgoing: readonly Outgoing[];
  /** Who types, and until when that holds on the monotonic clock. */
  typing: ReadonlyMap<string, number>;
  /** After which seq the messages were new when the conversation was opened. */
  newAfter?: number;
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
export interface ChatState {
  userId: string;
  address: string;
  size: Size;
  connection: ClientState;
  conversations: ReadonlyMap<string, Conversation>;
  /** The conversation on the screen; not set while the first page is. */
  openId?: string;
  /** The first page: what the program says while no conversation is open. */
  home: readonly Notice[];
  homeAnchor?: Anchor;
  /** Which users are known to be connected, or not. */
  presence: ReadonlyMap<string, boolean>;
  editor: Editor;
  /** A word in the status line, until the next key or until the connection changes. */
  hint?: string;
}

/** Returns the state before anything is known. */
export function emptyState(userId: string, address: string, connection: ClientState, size: Size): ChatState {
  return {
    userId,
    address,
    size,
    connection,
    conversations: new Map(),
    home: [],
    presence: new Map(),
    editor: emptyEditor,
  };
}

/** Returns the conversation on the screen. */
export function openOf(state: ChatState): Conversation | undefined {
  return state.openId === undefined ? undefined : state.conversations.get(state.openId);
}

/** Returns the state scrolled to an anchor, or to the end. */
export function withAnchor(state: ChatState, anchor: Anchor | undefined): ChatState {
  if (state.openId === undefined) {
    return anchor === undefined ? without(state, "homeAnchor") : { ...state, homeAnchor: anchor };
  }
  return changeConversation(state, state.openId, (open) =>
    anchor === undefined ? without(open, "anchor") : { ...open, anchor },
  );
}

/** Changes one conversation; does nothing when it is not known. */
export function changeConversation(
  state: ChatState,
  id: string,
  change: (conversation: Conversation) => Conversation,
): ChatState {
  const former = state.conversations.get(id);
  if (former === undefined) return state;
  const next = change(former);
  if (next === former) return state;
  return { ...state, conversations: new Map(state.conversations).set(id, next) };
}

/** Returns an object without one of its optional properties. */
export function without<T extends object, K extends keyof T>(object: T, key: K): Omit<T, K> {
  const { [key]: _, ...rest } = object;
  return rest;
}
