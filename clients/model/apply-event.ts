import type { Receipt } from "../../gen/parlance/chat/v1/conversation_pb.js";
import type { ChatMessage } from "../../gen/parlance/chat/v1/message_pb.js";
import type { ClientEvent } from "../typescript/events.ts";
import { messageOf } from "./entries.ts";
import { withMembership, withSettings } from "./groups.ts";
import { withMessage } from "./log.ts";
import { withPresences } from "./presence.ts";
import { type ChatState, type Conversation, changeConversation } from "./state.ts";
import { withTyping } from "./typing.ts";

/**
 * Returns the state after an event. This is the one place that knows the kinds of
 * events; of one that it does not know it takes the seq, and shows nothing.
 *
 * @param nowMs the monotonic clock
 */
export function applyEvent<S extends ChatState>(state: S, event: ClientEvent, nowMs: number): S {
  const place = placeOf(event.value);
  const next = applyKind(state, event, nowMs);
  if (place === undefined) return next;
  return changeConversation(next, place.conversationId, (former) => counted(former, place.seq));
}

function applyKind<S extends ChatState>(state: S, event: ClientEvent, nowMs: number): S {
  switch (event.case) {
    case "message":
      return applyMessage(state, event.value);
    case "membershipChanged":
      return withMembership(state, event.value);
    case "groupChanged":
      return withSettings(state, event.value);
    case "receipt":
      return applyReceipt(state, event.value);
    case "typing":
      return withTyping(state, event.value, nowMs);
    case "presence":
      return withPresences(state, [event.value]);
    default:
      return state;
  }
}

function applyMessage<S extends ChatState>(state: S, wire: ChatMessage): S {
  const id = wire.conversationId;
  const lastSeq = state.conversations.get(id)?.lastSeq ?? 0;
  const message = messageOf(wire);
  const next = withMessage(state, id, message);
  // What the list of conversations has counted already may come again.
  if (message.seq <= lastSeq || message.senderId === state.userId) return next;
  return changeConversation(next, id, (former) => ({ ...former, unread: former.unread + 1 }));
}

function applyReceipt<S extends ChatState>(state: S, { conversationId, userId, upToSeq }: Receipt): S {
  const seq = Number(upToSeq);
  return changeConversation(state, conversationId, (former) => {
    if (userId !== state.userId) return seq > former.peerReadSeq ? { ...former, peerReadSeq: seq } : former;
    // Another device of the user has read.
    if (seq <= former.readSeq) return former;
    return { ...former, readSeq: seq, unread: seq >= former.lastSeq ? 0 : former.unread };
  });
}

function counted(former: Conversation, seq: number): Conversation {
  return seq > former.lastSeq ? { ...former, lastSeq: seq } : former;
}

/** Tells where an event stands in the log; undefined for one that is not in it. */
function placeOf(value: object): { conversationId: string; seq: number } | undefined {
  if (!("conversationId" in value) || typeof value.conversationId !== "string") return undefined;
  if (!("seq" in value) || typeof value.seq !== "bigint") return undefined;
  return { conversationId: value.conversationId, seq: Number(value.seq) };
}
