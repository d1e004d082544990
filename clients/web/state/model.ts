import type { Group, Member, MembershipChange, Role } from "../../../gen/parlance/chat/v1/group_pb.js";
import type { ParlanceError } from "../../typescript/errors.ts";
import type { Target } from "../../typescript/sends.ts";

/** A message that the server has. */
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
  /** What happened; a change of settings when not set. */
  change?: MembershipChange;
  userIds: readonly string[];
}

/** One entry of a conversation's log, as shown. */
export type Entry = Message | Note;

/** A message of one's own on its way. */
export interface Outgoing {
  clientMessageId: string;
  text: string;
  timeMs: number;
  /** `sent`: stored, but its event has not come yet. */
  state: "sending" | "sent" | "failed";
  /** Why it failed, in words. */
  problem?: string;
}

/** The newest part of a conversation's history, without holes. */
export interface Timeline {
  /** In the order of seq. */
  entries: readonly Entry[];
  /** Whether nothing is older than the first entry. */
  complete: boolean;
  /** Whether a page is being fetched. */
  loading: boolean;
  /** Why the last page did not come, in words. */
  problem?: string;
}

/** What the list shows of a conversation's last message. */
export interface Preview {
  senderId: string;
  text: string;
}

/** A conversation as the page knows it. */
export interface Conversation {
  id: string;
  target: Target;
  lastSeq: number;
  readSeq: number;
  unread: number;
  preview?: Preview;
  /** When something was last said, or 0. */
  activityMs: number;
  /** Up to which seq the other user of a direct conversation has read. */
  peerReadSeq: number;
  /** The part of the history that is loaded; not set until somebody looks. */
  timeline?: Timeline;
  outgoing: readonly Outgoing[];
  /** Who types. */
  typing: readonly string[];
  /** Where the unread messages began when the conversation was opened. */
  unreadFrom?: number;
}

/** A group as the page knows it. */
export interface GroupInfo {
  group: Group;
  role: Role;
  /** Not set until somebody looks. */
  members?: readonly Member[];
}

/** Whether a user is there. */
export interface Presence {
  online: boolean;
  lastActiveMs?: number;
}

/** How the page stands with the server. */
export type Link =
  | { phase: "connecting" | "live" | "offline" }
  | { phase: "waiting"; retryAtMs: number }
  | { phase: "closed"; error: ParlanceError | undefined };

/** A short message to the user that goes away by itself. */
export interface Notice {
  id: number;
  text: string;
}

/** All that the page shows. */
export interface ChatState {
  userId: string;
  link: Link;
  /** Whether the list of conversations has come. */
  loaded: boolean;
  conversations: ReadonlyMap<string, Conversation>;
  groups: ReadonlyMap<string, GroupInfo>;
  presence: ReadonlyMap<string, Presence>;
  openId: string | undefined;
  notices: readonly Notice[];
}

/** Returns the state before anything is known. */
export function emptyState(userId: string): ChatState {
  return {
    userId,
    link: { phase: "connecting" },
    loaded: false,
    conversations: new Map(),
    groups: new Map(),
    presence: new Map(),
    openId: undefined,
    notices: [],
  };
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

/** Changes one group; does nothing when it is not known. */
export function changeGroup(
  state: ChatState,
  groupId: string,
  change: (info: GroupInfo) => GroupInfo,
): ChatState {
  const former = state.groups.get(groupId);
  if (former === undefined) return state;
  return { ...state, groups: new Map(state.groups).set(groupId, change(former)) };
}
