/** The refusals for what a group does not allow. */

import { ChatError, type ChatErrorDetails, ErrorReason } from "../model/errors.ts";
import { type GroupRecord, JoinPolicy, type MemberRecord, Role } from "../model/records.ts";

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

/** Says that the member is muted, for so long. */
export function memberMuted(leftMs: number, deed = "send to the group"): ChatError {
  return new ChatError(ErrorReason.MEMBER_MUTED, `you may not ${deed} for now`, { retryAfterMs: leftMs });
}

/** Says that the whole group is muted. */
export function groupMuted(deed = "send to the group"): ChatError {
  return new ChatError(ErrorReason.GROUP_MUTED, `only the owner and admins may ${deed} for now`);
}

/**
 * Returns why a member may not speak in a group now, be it by a message or by what
 * else others notice; undefined when they may.
 *
 * @param deed what they may not do, to follow "may not"
 */
export function silenceOf(
  group: Pick<GroupRecord, "muted">,
  { role, mutedUntilMs }: Pick<MemberRecord, "role" | "mutedUntilMs">,
  nowMs: number,
  deed?: string,
): ChatError | undefined {
  if (role === Role.READER) return roleTooLow(`readers may not ${deed ?? "send to the group"}`);
  const leftMs = mutedUntilMs - nowMs;
  if (leftMs > 0) return memberMuted(leftMs, deed);
  return group.muted && role === Role.MEMBER ? groupMuted(deed) : undefined;
}

/** Says that a group cannot have fewer members than it has. */
export function memberLimitTooLow(memberLimit: number, memberCount: number): ChatError {
  const description = `must be at least ${memberCount}, the number of members now`;
  return new ChatError(
    ErrorReason.MEMBER_LIMIT_TOO_LOW,
    `the group has ${memberCount} members already, more than ${memberLimit}`,
    { violations: [{ field: "group.member_limit", rule: "member_count", description }] },
  );
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
export function groupFull(
  groupId: string,
  memberLimit: number,
  violations?: NonNullable<ChatErrorDetails["violations"]>,
): ChatError {
  return new ChatError(
    ErrorReason.GROUP_FULL,
    `the group "${groupId}" may have ${memberLimit} members at most`,
    {
      ...(violations !== undefined && { violations }),
      quota: { subject: `group:${groupId}`, description: `at most ${memberLimit} members` },
    },
  );
}
