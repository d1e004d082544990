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
 * events: a new one is added to `applyKind`, which the compiler asks for. Of one
 * that it does not know the seq is counted, and nothing is shown.
 *
 * @param nowMs the monotonic clock
 */
export function applyEvent<S extends ChatState>(state: S, event: ClientEvent, nowMs: number): S {
  const next = applyKind(state, event, nowMs);
  if (!("place" in event)) return next;
  const { conversationId, seq } = event.place;
  return changeConversation(next, conversationId, (former) => counted(former, Number(seq)));
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
    case "caughtUp":
    case "behind":
    case "reset":
      // `Sync` sees to those.
      return state;
    default:
      // The compiler knows of all; a log may have others.
      event satisfies never;
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
