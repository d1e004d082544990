import type { ChatState, Conversation } from "../../model/state.ts";
import { listOf } from "../../model/words.ts";
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
  return listOf(names.map(inline), 3);
}

/** Says that somebody types; in a group, who. */
export function typingText(typing: Conversation["typing"], target: Conversation["target"]): string {
  if (!("groupId" in target)) return "typing…";
  return `${nameList([...typing.keys()])} ${typing.size > 1 ? "are" : "is"} typing…`;
}
