import type { Conversation as WireConversation } from "../../../gen/parlance/chat/v1/conversation_pb.js";
import type { Group } from "../../../gen/parlance/chat/v1/group_pb.js";
import { directConversationId, groupConversationId, parseConversationId, peerOf } from "../../../wire/ids.ts";
import type { Target } from "../../typescript/index.ts";
import { millisOf } from "./entries.ts";
import type { ChatState, Conversation } from "./model.ts";

/** Returns the id of the conversation with a user or of a group. */
export function conversationIdOf(target: Target, userId: string): string {
  return "groupId" in target
    ? groupConversationId(target.groupId)
    : directConversationId(userId, target.recipientId);
}

/** Returns a conversation in which nothing was said yet. */
export function newConversation(id: string, target: Target): Conversation {
  return {
    id,
    target,
    lastSeq: 0,
    readSeq: 0,
    unread: 0,
    activityMs: 0,
    peerReadSeq: 0,
    notices: [],
    outgoing: [],
    typing: new Map(),
  };
}

/** Returns the state with a conversation in it, a new one if it was not known. */
export function withConversation(state: ChatState, id: string): ChatState {
  if (state.conversations.has(id)) return state;
  const parsed = parseConversationId(id);
  if (parsed === undefined || parsed.kind === "personal") return state;
  const target =
    parsed.kind === "group" ? { groupId: parsed.groupId } : { recipientId: peerOf(parsed, state.userId) };
  return { ...state, conversations: new Map(state.conversations).set(id, newConversation(id, target)) };
}

/** Takes over what the server says of a conversation. */
export function withSummary(former: Conversation, wire: WireConversation): Conversation {
  return {
    ...former,
    lastSeq: Number(wire.lastSeq),
    readSeq: Number(wire.readSeq),
    unread: wire.unreadCount,
    activityMs: Math.max(former.activityMs, millisOf(wire.lastMessage?.acceptTime)),
  };
}

/** Takes over what the server says of a group. */
export function withGroup(former: Conversation, group: Group): Conversation {
  return { ...former, name: group.name, memberCount: group.memberCount };
}

/** Returns the name people know a conversation by: the user, or `#` and the group. */
export function nameOf({ target, name }: Conversation): string {
  return "groupId" in target ? `#${name || target.groupId}` : target.recipientId;
}

/** Returns the conversations to list, the one that something was last said in first. */
export function listed(state: ChatState): Conversation[] {
  return [...state.conversations.values()]
    .filter(({ id, left }) => !left || id === state.openId)
    .sort((a, b) => activityOf(b) - activityOf(a) || (a.id < b.id ? -1 : 1));
}

/** Returns how many messages are unread, all in all or without the conversation on the screen. */
export function unreadElsewhere(state: ChatState): number {
  let count = 0;
  for (const { id, unread, left } of state.conversations.values())
    if (id !== state.openId && !left) count += unread;
  return count;
}

function activityOf({ activityMs, outgoing }: Conversation): number {
  return Math.max(activityMs, outgoing.at(-1)?.timeMs ?? 0);
}
