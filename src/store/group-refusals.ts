/** What stores and the chat answer when a group does not allow something. */

import { ChatError, ErrorReason } from "../errors.ts";
import { JoinPolicy } from "./store.ts";

/** Says that there is no such group: the same words whether it is absent or hidden from the caller. */
export function groupNotFound(groupId: string): ChatError {
  return new ChatError(ErrorReason.GROUP_NOT_FOUND, `there is no group "${groupId}"`);
}

/** Says that the caller is not a member; only of an OPEN group may they know that it exists. */
export function notAMember(groupId: string, joinPolicy: number): ChatError {
  if (joinPolicy !== JoinPolicy.OPEN) return groupNotFound(groupId);
  return new ChatError(
    ErrorReason.NOT_A_MEMBER,
    `you are not a member of the group "${groupId}"; join it first`,
  );
}

/** Says that the caller's role does not allow what they want. */
export function roleTooLow(rule: string): ChatError {
  return new ChatError(ErrorReason.ROLE_TOO_LOW, rule);
}

/** Says that someone else is not a member. */
export function memberNotFound(groupId: string, userId: string): ChatError {
  return new ChatError(ErrorReason.MEMBER_NOT_FOUND, `"${userId}" is not a member of the group "${groupId}"`);
}

/** Says that the owner cannot go. */
export function ownerCannotLeave(): ChatError {
  return new ChatError(
    ErrorReason.OWNER_CANNOT_LEAVE,
    "the owner has to transfer or disband the group first",
  );
}

/** Says that the group has no room. */
export function groupFull(groupId: string, memberLimit: number): ChatError {
  return new ChatError(
    ErrorReason.GROUP_FULL,
    `the group "${groupId}" may have ${memberLimit} members at most`,
    {
      quota: { subject: `group:${groupId}`, description: `at most ${memberLimit} members` },
    },
  );
}
