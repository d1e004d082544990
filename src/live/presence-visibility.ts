import type { ConversationStore } from "../store/ports/conversations.ts";

/** Whose presence users may see: of those they share a conversation with, everyone's, or nobody's but their own. */
export type PresenceVisibility = "shared" | "everyone" | "nobody";

/** Finds out which of some users a user may see, themselves always. */
export type FindVisible = (viewerId: string, userIds: readonly string[]) => Promise<ReadonlySet<string>>;

/** Makes what finds out who may see whom. */
export function createFindVisible(
  store: Pick<ConversationStore, "inConversationWith">,
  visibility: PresenceVisibility,
): FindVisible {
  return async (viewerId, userIds) => {
    if (visibility === "everyone") return new Set(userIds);
    const others = userIds.filter((userId) => userId !== viewerId);
    if (visibility === "nobody" || others.length === 0) return new Set([viewerId]);
    return new Set(await store.inConversationWith(viewerId, others)).add(viewerId);
  };
}
