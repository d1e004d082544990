import type { Typing } from "../../gen/parlance/chat/v1/event_pb.js";
import { type ChatState, changeConversation } from "./state.ts";

/** How long somebody is shown as typing after they last said so, in milliseconds, as the proto's `Typing` has it. */
const shownMs = 6_000;

/**
 * Takes note of who types.
 *
 * @param nowMs the monotonic clock
 */
export function withTyping<S extends ChatState>(
  state: S,
  { conversationId, userId, typing }: Typing,
  nowMs: number,
): S {
  if (userId === state.userId) return state;
  return changeConversation(state, conversationId, (former) => {
    if (!typing && !former.typing.has(userId)) return former;
    const next = new Map(former.typing);
    if (typing) next.set(userId, nowMs + shownMs);
    else next.delete(userId);
    return { ...former, typing: next };
  });
}

/** Leaves out who has not been heard typing for a while. */
export function withoutStaleTyping<S extends ChatState>(state: S, nowMs: number): S {
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
  for (const { typing } of state.conversations.values())
    for (const until of typing.values()) next = Math.min(next ?? until, until);
  return next;
}
