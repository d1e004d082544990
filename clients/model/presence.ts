import type { Presence as WirePresence } from "../../gen/parlance/chat/v1/presence_pb.js";
import { epochMillis } from "../typescript/time.ts";
import type { ChatState, Presence } from "./state.ts";

/** Takes over what the server says of who is there. */
export function withPresences<S extends ChatState>(
  state: S,
  presences: readonly Pick<WirePresence, "userId" | "online" | "lastActiveTime">[],
): S {
  const changed = new Map<string, Presence>();
  for (const { userId, online, lastActiveTime } of presences) {
    const lastActiveMs = epochMillis(lastActiveTime);
    const former = state.presence.get(userId);
    if (former?.online === online && former.lastActiveMs === lastActiveMs) continue;
    changed.set(userId, { online, ...(lastActiveMs !== undefined && { lastActiveMs }) });
  }
  return changed.size === 0 ? state : { ...state, presence: new Map([...state.presence, ...changed]) };
}
