import type { Receipt } from "../../../gen/parlance/chat/v1/conversation_pb.js";
import type { Typing } from "../../../gen/parlance/chat/v1/event_pb.js";
import type { ChatMessage } from "../../../gen/parlance/chat/v1/message_pb.js";
import type { ClientEvent } from "../../typescript/events.ts";
import type { Target } from "../../typescript/sends.ts";
import { newConversation, withMessage } from "./conversations.ts";
import { messageOf } from "./entries.ts";
import { applyMembership, applySettings } from "./group-events.ts";
import { type ChatState, changeConversation } from "./model.ts";

/** Returns the state after an event of the stream. */
export function applyEvent(state: ChatState, event: ClientEvent): ChatState {
  switch (event.case) {
    case "message":
      return applyMessage(state, event.value);
    case "membershipChanged":
      return applyMembership(state, event.value);
    case "groupChanged":
      return applySettings(state, event.value);
    case "receipt":
      return applyReceipt(state, event.value);
    case "typing":
      return applyTyping(state, event.value);
    default:
      return state;
  }
}

function applyMessage(state: ChatState, wire: ChatMessage): ChatState {
  const id = wire.conversationId;
  const known = state.conversations.get(id) ?? newConversation(id, targetOf(wire, state.userId));
  const next = withMessage(known, messageOf(wire), state.userId);
  return { ...state, conversations: new Map(state.conversations).set(id, next) };
}

function targetOf({ target, senderId }: ChatMessage, userId: string): Target {
  if (target.case === "groupId") return { groupId: target.value };
  return { recipientId: senderId === userId ? (target.value ?? "") : senderId };
}

function applyReceipt(state: ChatState, { conversationId, userId, upToSeq }: Receipt): ChatState {
  const seq = Number(upToSeq);
  return changeConversation(state, conversationId, (conversation) => {
    if (userId !== state.userId)
      return { ...conversation, peerReadSeq: Math.max(conversation.peerReadSeq, seq) };
    // Another device of the user has read.
    if (seq <= conversation.readSeq) return conversation;
    return { ...conversation, readSeq: seq, unread: seq >= conversation.lastSeq ? 0 : conversation.unread };
  });
}

function applyTyping(state: ChatState, { conversationId, userId, typing }: Typing): ChatState {
  if (userId === state.userId) return state;
  return changeConversation(state, conversationId, (conversation) => {
    const others = conversation.typing.filter((typist) => typist !== userId);
    if (!typing && others.length === conversation.typing.length) return conversation;
    return { ...conversation, typing: typing ? [...others, userId] : others };
  });
}
