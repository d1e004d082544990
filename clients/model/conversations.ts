import type { Conversation as WireConversation } from "../../gen/parlance/chat/v1/conversation_pb.js";
import { directConversationId, groupConversationId, parseConversationId, peerOf } from "../../wire/ids.ts";
import type { Target } from "../typescript/sends.ts";
import { messageOf } from "./entries.ts";
import { type ChatState, type Conversation, changeConversation, without } from "./state.ts";
import { shortened } from "./timeline.ts";

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
    notes: [],
    outgoing: [],
    typing: new Map(),
  };
}

/** Returns the state with a conversation in it, a new one if it was not known. */
export function withConversation<S extends ChatState>(state: S, id: string): S {
  if (state.conversations.has(id)) return state;
  const parsed = parseConversationId(id);
  if (parsed === undefined || parsed.kind === "personal") return state;
  const target =
    parsed.kind === "group" ? { groupId: parsed.groupId } : { recipientId: peerOf(parsed, state.userId) };
  return { ...state, conversations: new Map(state.conversations).set(id, newConversation(id, target)) };
}

/** Changes one conversation, a new one if it was not known. */
export function changeOrAdd<S extends ChatState>(
  state: S,
  id: string,
  change: (conversation: Conversation) => Conversation,
): S {
  return changeConversation(withConversation(state, id), id, change);
}

/**
 * Takes over what the server says of a conversation, unless more is known already.
 * Where events are missing now, what is loaded is forgotten.
 */
export function withSummary(former: Conversation, wire: WireConversation): Conversation {
  const base = withoutLeft(former);
  const lastSeq = Number(wire.lastSeq);
  if (lastSeq < base.lastSeq) return base;
  const lastMessage = wire.lastMessage && messageOf(wire.lastMessage);
  return {
    ...(lastSeq > base.lastSeq ? without(base, "timeline") : base),
    lastSeq,
    readSeq: Math.max(base.readSeq, Number(wire.readSeq)),
    unread: base.readSeq >= lastSeq ? 0 : wire.unreadCount,
    ...(lastMessage && { lastMessage }),
    activityMs: Math.max(base.activityMs, lastMessage?.timeMs ?? 0),
  };
}

/** Takes note that the user is a member again. What was loaded before has a hole where they were none. */
export function withoutLeft(former: Conversation): Conversation {
  return former.left ? without(without(former, "left"), "timeline") : former;
}

/** Takes note that the user is no longer a member. */
export function withLeft(former: Conversation): Conversation {
  return { ...former, left: true, unread: 0, typing: new Map() };
}

/** Forgets what was in a log that is another one now. */
export function begunAnew({ id, target, outgoing, ...former }: Conversation): Conversation {
  const { left = false, activityMs, peerReadSeq } = former;
  return { ...newConversation(id, target), outgoing, left, activityMs, peerReadSeq };
}

/** Marks all of a conversation as read by the user, who sees its end. */
export function withAllRead(former: Conversation): Conversation {
  const { timeline, lastSeq } = former;
  return { ...former, readSeq: lastSeq, unread: 0, ...(timeline && { timeline: shortened(timeline) }) };
}

/** Returns the state with another conversation open, or none. */
export function withOpen<S extends ChatState>(state: S, openId: string | undefined): S {
  if (state.openId === openId) return state;
  const { openId: formerId } = state;
  const left =
    formerId === undefined
      ? state
      : changeConversation(state, formerId, (former) => without(former, "newAfter"));
  const opened =
    openId === undefined
      ? left
      : changeConversation(left, openId, (next) =>
          next.unread > 0 ? { ...next, newAfter: next.readSeq } : next,
        );
  return { ...opened, openId };
}

/** Returns the conversations to list, the one that something was last said in first. */
export function listed(state: ChatState): Conversation[] {
  return [...state.conversations.values()]
    .filter(({ id, left }) => !left || id === state.openId)
    .sort((a, b) => activityOf(b) - activityOf(a) || (a.id < b.id ? -1 : 1));
}

/** Returns when something was last said in a conversation, by the user perhaps, in milliseconds since 1970. */
export function activityOf({ activityMs, outgoing }: Conversation): number {
  return Math.max(activityMs, outgoing.at(-1)?.timeMs ?? 0);
}
