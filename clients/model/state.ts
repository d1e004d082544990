/** The state of a chat. All of it is replaced, never changed in place. */

import type { Group, Member, MembershipChange, Role } from "../../gen/parlance/chat/v1/group_pb.js";
import type { Target } from "../typescript/sends.ts";

/** A message of the log. */
export interface Message {
  kind: "message";
  seq: number;
  senderId: string;
  text: string;
  timeMs: number;
  clientMessageId: string;
}

/** A change of a group, told between its messages. */
export interface Note {
  kind: "note";
  seq: number;
  timeMs: number;
  actorId: string;
  /** A change of members, or of the group itself. */
  change: MembershipChange | "created" | "settings" | "disbanded";
  /** Whom it happened to. */
  userIds: readonly string[];
  /** The role that the first of them has now. */
  role?: Role | undefined;
}

/** An event of a conversation's log, as shown. */
export type Entry = Message | Note;

/** A message of one's own that the server has not confirmed. */
export interface Outgoing {
  kind: "outgoing";
  clientMessageId: string;
  text: string;
  timeMs: number;
  state: "sending" | "failed";
  /** Why it failed, in words. */
  problem?: string;
}

/** The loaded part of a conversation: its newest entries, without holes. */
export interface Timeline {
  /** Tells it from one that was begun anew, to which a page on its way no longer fits. */
  readonly id: symbol;
  /** In the order of seq. */
  entries: readonly Entry[];
  /** From which seq on everything is there; 0 when nothing is older, not set before the first page. */
  from?: number;
  /** What is known of messages before the first entry. */
  older: "more" | "loading" | "failed" | "none";
  /** Why the last page did not come, in words. */
  problem?: string;
}

/** A conversation as the chat knows it. */
export interface Conversation {
  id: string;
  target: Target;
  /** The user is no longer a member. */
  left?: boolean;
  lastSeq: number;
  readSeq: number;
  unread: number;
  lastMessage?: Message;
  /** When something was last said, or the user came, in milliseconds since 1970; 0 when never. */
  activityMs: number;
  /** Up to which seq the other user of a direct conversation has read. */
  peerReadSeq: number;
  /** After which seq the messages were new when the conversation was opened. */
  newAfter?: number;
  /** Not set until somebody looks. */
  timeline?: Timeline;
  /** What happened to the group lately, in the order of seq; the history that can be loaded holds messages only. */
  notes: readonly Note[];
  outgoing: readonly Outgoing[];
  /** Who types, and until when that holds on the monotonic clock. */
  typing: ReadonlyMap<string, number>;
}

/** A group as the chat knows it. */
export interface GroupInfo {
  group: Group;
  /** The user's own role; UNSPECIFIED until it is known. */
  role: Role;
  /** Not set until somebody looks. */
  members?: readonly Member[];
}

/** Tells whether a user is there, and since when not. */
export interface Presence {
  online: boolean;
  lastActiveMs?: number;
}

/** The part of the state that is the same however a chat is shown. */
export interface ChatState {
  userId: string;
  conversations: ReadonlyMap<string, Conversation>;
  groups: ReadonlyMap<string, GroupInfo>;
  presence: ReadonlyMap<string, Presence>;
  /** The conversation that the user looks at. */
  openId: string | undefined;
}

/** Returns the state before anything is known. */
export function emptyChat(userId: string): ChatState {
  return {
    userId,
    conversations: new Map(),
    groups: new Map(),
    presence: new Map(),
    openId: undefined,
  };
}

/** Returns the conversation that the user looks at. */
export function openOf({ openId, conversations }: ChatState): Conversation | undefined {
  return openId === undefined ? undefined : conversations.get(openId);
}

/** Changes one conversation; does nothing when it is not known. */
export function changeConversation<S extends ChatState>(
  state: S,
  id: string,
  change: (conversation: Conversation) => Conversation,
): S {
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
