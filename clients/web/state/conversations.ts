import type { Conversation as WireConversation } from "../../../gen/parlance/chat/v1/conversation_pb.js";
import type { Target } from "../../typescript/sends.ts";
import { messageOf, millisOf } from "./entries.ts";
import type { ChatState, Conversation, Message } from "./model.ts";
import { addEntry } from "./timeline.ts";

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
    outgoing: [],
    typing: [],
  };
}

/** Takes over what the server says of a conversation, unless the page knows more already. */
export function withSummary(former: Conversation | undefined, wire: WireConversation): Conversation {
  const target: Target =
    wire.target.case === "groupId"
      ? { groupId: wire.target.value }
      : { recipientId: wire.target.value ?? "" };
  const base = former ?? newConversation(wire.conversationId, target);
  const lastSeq = Number(wire.lastSeq);
  if (lastSeq < base.lastSeq) return base;
  const last = wire.lastMessage && messageOf(wire.lastMessage);
  return {
    ...base,
    lastSeq,
    readSeq: Math.max(base.readSeq, Number(wire.readSeq)),
    unread: base.readSeq >= lastSeq ? 0 : wire.unreadCount,
    ...(last && { preview: { senderId: last.senderId, text: last.text } }),
    activityMs: Math.max(base.activityMs, millisOf(wire.lastMessage?.acceptTime)),
  };
}

/** Adds a message that came over the stream, once. */
export function withMessage(conversation: Conversation, message: Message, userId: string): Conversation {
  const { timeline, outgoing, typing } = conversation;
  const own = message.senderId === userId;
  const next: Conversation = {
    ...conversation,
    ...(timeline && { timeline: addEntry(timeline, message) }),
    outgoing: own ? withoutSent(outgoing, message) : outgoing,
    typing: typing.filter((typist) => typist !== message.senderId),
  };
  // What the list of conversations has counted already comes again after a reload.
  if (message.seq <= conversation.lastSeq) return next;
  return {
    ...next,
    lastSeq: message.seq,
    unread: own ? next.unread : next.unread + 1,
    preview: { senderId: message.senderId, text: message.text },
    activityMs: message.timeMs,
  };
}

/** Leaves out of what is on its way what has arrived. */
export function withoutSent(outgoing: Conversation["outgoing"], message: Message): Conversation["outgoing"] {
  if (message.clientMessageId === "") return outgoing;
  return outgoing.filter(({ clientMessageId }) => clientMessageId !== message.clientMessageId);
}

/** Returns the conversations to list, the one that something was last said in first. */
export function listed(state: ChatState): Conversation[] {
  return [...state.conversations.values()].sort(
    (a, b) => activityOf(b) - activityOf(a) || (a.id < b.id ? -1 : 1),
  );
}

function activityOf({ activityMs, outgoing }: Conversation): number {
  return Math.max(activityMs, outgoing.at(-1)?.timeMs ?? 0);
}
