import type { ChatState, Conversation } from "../state/model.ts";
import { inline } from "./text.ts";

/** Returns what a conversation is called: the other user's id, or the group's name. */
export function titleOf({ target }: Conversation, groups: ChatState["groups"]): string {
  if ("recipientId" in target) return inline(target.recipientId);
  return inline(groups.get(target.groupId)?.group.name ?? "") || inline(target.groupId);
}

/** Returns what a conversation's colour follows from. */
export function colourKeyOf({ target }: Conversation): string {
  return "recipientId" in target ? target.recipientId : target.groupId;
}

/** Joins names as people do: `a`, `a and b`, `a, b and 3 others`. */
export function nameList(names: readonly string[]): string {
  const shown = names.map(inline);
  if (shown.length <= 1) return shown[0] ?? "";
  if (shown.length <= 3) return `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
  return `${shown.slice(0, 2).join(", ")} and ${shown.length - 2} others`;
}
