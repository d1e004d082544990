import type { ClientEvent, MembershipChanged, Receipt } from "../../typescript/index.ts";
import { MembershipChange } from "../../typescript/index.ts";
import { withConversation, withGroup } from "./conversations.ts";
import { groupNotice, membershipNotice, messageOf } from "./entries.ts";
import {
  type ChatState,
  type Conversation,
  changeConversation,
  type Message,
  type Notice,
  without,
} from "./model.ts";
import { addEntry, shortened } from "./timeline.ts";

/** How long somebody is shown to type after the last word of it, in milliseconds. */
const typingMs = 6_000;

/**
 * Applies an event to the state.
 *
 * @param nowMs the monotonic clock
 */
export function applyEvent(state: ChatState, event: ClientEvent, nowMs: number): ChatState {
  switch (event.case) {
    case "message": {
      const message = messageOf(event.value);
      return changed(state, event.value.conversationId, (former) =>
        withMessage(former, message, state.userId),
      );
    }
    case "membershipChanged": {
      const { conversationId, memberCount } = event.value;
      const left = ownLeft(event.value, state.userId);
      return changed(state, conversationId, (former) => ({
        ...withEvent(left === false ? without(former, "left") : former, membershipNotice(event.value)),
        memberCount,
        ...(left === true && { left, unread: 0 }),
      }));
    }
    case "groupChanged":
      return changed(state, event.value.conversationId, (former) => ({
        ...withGroup(withEvent(former, groupNotice(event.value)), event.value),
        ...(event.value.disbandTime && { left: true, unread: 0 }),
      }));
    case "receipt":
      return changeConversation(state, event.value.conversationId, (former) =>
        withReceipt(former, event.value, state.userId),
      );
    case "typing": {
      const { conversationId, userId, typing } = event.value;
      if (userId === state.userId) return state;
      return changeConversation(state, conversationId, (former) => {
        const next = new Map(former.typing);
        if (typing) next.set(userId, nowMs + typingMs);
        else next.delete(userId);
        return { ...former, typing: next };
      });
    }
    case "presence": {
      const { userId, online } = event.value;
      if (state.presence.get(userId) === online) return state;
      return { ...state, presence: new Map(state.presence).set(userId, online) };
    }
    default:
      return state;
  }
}

/** Takes note that a message of one's own is stored. */
export function withSent(conversation: Conversation, message: Message): Conversation {
  return {
    ...conversation,
    outgoing: withoutMessage(conversation.outgoing, message),
    ...(conversation.timeline && { timeline: addEntry(conversation.timeline, message) }),
    activityMs: Math.max(conversation.activityMs, message.timeMs),
  };
}

/** Leaves out who has not been heard typing for a while. */
export function withoutStaleTyping(state: ChatState, nowMs: number): ChatState {
  let next = state;
  for (const { id, typing } of state.conversations.values()) {
    if (![...typing.values()].some((until) => until <= nowMs)) continue;
    const fresh = new Map([...typing].filter(([, until]) => until > nowMs));
    next = changeConversation(next, id, (former) => ({ ...former, typing: fresh }));
  }
  return next;
}

/** Returns when the first typing goes stale, on the monotonic clock. */
export function nextStaleTyping(state: ChatState): number | undefined {
  let next: number | undefined;
  for (const { typing } of state.conversations.values()) {
    for (const until of typing.values()) next = Math.min(next ?? until, until);
  }
  return next;
}

function changed(
  state: ChatState,
  id: string,
  change: (conversation: Conversation) => Conversation,
): ChatState {
  return changeConversation(withConversation(state, id), id, change);
}

function withMessage(former: Conversation, message: Message, userId: string): Conversation {
  const next = withEvent(former, message);
  const typing = new Map(former.typing);
  typing.delete(message.senderId);
  const own = message.senderId === userId;
  // What the list of conversations has counted already may come again.
  const isNew = message.seq > former.lastSeq;
  return {
    ...next,
    typing,
    outgoing: own ? withoutMessage(former.outgoing, message) : former.outgoing,
    unread: isNew && !own ? former.unread + 1 : former.unread,
    activityMs: Math.max(former.activityMs, message.timeMs),
  };
}

/** The most notices that are kept of a conversation that was not opened. */
const maxNotices = 20;

/** Adds an event of the log. */
function withEvent(former: Conversation, entry: Message | Notice): Conversation {
  const { timeline, anchor } = former;
  const added = timeline && addEntry(timeline, entry);
  return {
    ...former,
    lastSeq: Math.max(former.lastSeq, entry.seq),
    activityMs: Math.max(former.activityMs, entry.timeMs),
    ...(added && { timeline: anchor === undefined ? shortened(added) : added }),
    ...(!added && entry.kind === "notice" && { notices: [...former.notices, entry].slice(-maxNotices) }),
  };
}

function withReceipt(former: Conversation, receipt: Receipt, userId: string): Conversation {
  const upToSeq = Number(receipt.upToSeq);
  if (receipt.userId !== userId) {
    return { ...former, peerReadSeq: Math.max(former.peerReadSeq, upToSeq) };
  }
  return {
    ...former,
    readSeq: Math.max(former.readSeq, upToSeq),
    unread: upToSeq >= former.lastSeq ? 0 : former.unread,
  };
}

/** Tells whether an event ended (true) or began (false) the user's own membership; undefined when neither. */
function ownLeft({ change, members }: MembershipChanged, userId: string): boolean | undefined {
  if (!members.some((member) => member.userId === userId)) return undefined;
  if (change === MembershipChange.LEFT || change === MembershipChange.REMOVED) return true;
  if (change === MembershipChange.JOINED || change === MembershipChange.ADDED) return false;
  return undefined;
}

function withoutMessage(
  outgoing: Conversation["outgoing"],
  { clientMessageId }: Message,
): Conversation["outgoing"] {
  if (clientMessageId === "") return outgoing;
  return outgoing.filter((each) => each.clientMessageId !== clientMessageId);
}
