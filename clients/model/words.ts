import { MembershipChange, Role } from "../../gen/parlance/chat/v1/group_pb.js";
import type { Note } from "./state.ts";

/** Stands for a message whose content this version does not know. */
export const unknownContent = "A message that this version cannot show";

/**
 * Says in a sentence what happened to a group.
 *
 * @param name joins users as they are named: `alice`, `you and bob`
 */
export function sentenceOf(
  { actorId, change, userIds, role }: Note,
  name: (userIds: readonly string[]) => string,
): string {
  const actor = name([actorId]);
  switch (change) {
    case "created":
      return `${actor} created the group`;
    case "disbanded":
      return `${actor} disbanded the group`;
    case "settings":
      return `${actor} changed the group’s settings`;
    case MembershipChange.JOINED:
      return `${name(userIds)} joined`;
    case MembershipChange.ADDED: {
      // Whoever creates a group is its first member.
      const others = userIds.filter((userId) => userId !== actorId);
      return others.length === 0 ? `${actor} joined` : `${actor} added ${name(others)}`;
    }
    case MembershipChange.LEFT:
      return `${name(userIds)} left`;
    case MembershipChange.REMOVED:
      return `${actor} removed ${name(userIds)}`;
    case MembershipChange.UPDATED:
      return userIds.length === 1 && role !== undefined
        ? `${actor} changed ${name(userIds)}: now ${roleName(role)}`
        : `${actor} changed ${name(userIds)}`;
    default:
      return `the members changed: ${name(userIds)}`;
  }
}

/** Returns the name of a role. */
export function roleName(role: Role): string {
  return (Role[role] ?? "unknown").toLowerCase();
}

/**
 * Joins names as one says them: `a, b and c`, `a, b and 3 others`.
 *
 * @param most how many names at most are all told
 */
export function listOf(names: readonly string[], most: number): string {
  if (names.length < 2) return names.join("");
  if (names.length > most)
    return `${names.slice(0, most - 1).join(", ")} and ${names.length - most + 1} others`;
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
