/** The rules of who belongs to groups, and as what: joining, adding, leaving, removing, roles and mutes. */

import { ChatError, ErrorReason } from "../model/errors.ts";
import { type GroupRecord, JoinPolicy, type MemberRecord, Role } from "../model/records.ts";
import { type GroupAnswer, GroupDraft, type NewMember, unchanged } from "./group-draft.ts";
import { MembershipChange } from "./group-events.ts";
import { actorOf, groupOf } from "./group-facts.ts";
import {
  groupFull,
  groupNotFound,
  memberNotFound,
  ownerCannotLeave,
  roleTooLow,
  silenceOf,
} from "./group-refusals.ts";
import type { Facts, Restraint, Rule } from "./rule.ts";

/**
 * Makes a user a member by their own wish; a reader or muted, if they were so
 * when they last left.
 *
 * Refusals: GROUP_NOT_FOUND, ALREADY_A_MEMBER, GROUP_FULL.
 */
export const joinGroup: Rule<{ groupId: string; userId: string }, GroupAnswer> = {
  needs: ({ groupId, userId }) => ({ groupId, memberIds: [userId], comingIds: [userId] }),
  decide({ groupId, userId }, facts) {
    const group = groupOf(facts, groupId);
    if (facts.members.has(userId)) {
      throw new ChatError(ErrorReason.ALREADY_A_MEMBER, `you are already a member of the group "${groupId}"`);
    }
    checkMayJoin(group);
    checkRoom(group, 1);
    const draft = new GroupDraft(group, facts.nowMs);
    draft.add(MembershipChange.JOINED, userId, asTheyLeft([{ userId, role: Role.MEMBER }], facts.restraints));
    return draft.decision([userId]);
  },
};

/**
 * Ends a membership by the member's own wish.
 *
 * Refusals: GROUP_NOT_FOUND, NOT_A_MEMBER, OWNER_CANNOT_LEAVE.
 */
export const leaveGroup: Rule<{ groupId: string; userId: string }, GroupAnswer> = {
  needs: ({ groupId, userId }) => ({ groupId, memberIds: [userId] }),
  decide({ groupId, userId }, facts) {
    const group = groupOf(facts, groupId);
    const member = actorOf(facts, group, userId);
    if (member.role === Role.OWNER) throw ownerCannotLeave();
    const draft = new GroupDraft(group, facts.nowMs);
    draft.remove(MembershipChange.LEFT, userId, [member]);
    return draft.decision([userId], facts.members);
  },
};

/** A request to add members. */
export interface AddMembers {
  groupId: string;
  actorId: string;
  userIds: readonly string[];
  role: Role;
}

/**
 * Makes users members; those who are already stay as they are. Who was muted
 * when they last left is muted again, and a reader a reader unless named ADMIN.
 *
 * Refusals: GROUP_NOT_FOUND, NOT_A_MEMBER, JOIN_NOT_ALLOWED, ROLE_TOO_LOW,
 * MEMBER_MUTED, GROUP_MUTED, GROUP_FULL.
 */
export const addMembers: Rule<AddMembers, GroupAnswer> = {
  needs: ({ groupId, actorId, userIds }) => ({
    groupId,
    memberIds: [actorId, ...userIds],
    comingIds: userIds,
  }),
  decide({ groupId, actorId, userIds, role }, facts) {
    const group = groupOf(facts, groupId);
    checkMayAdd(group, actorOf(facts, group, actorId), role, facts.nowMs);
    const asked = [...new Set(userIds)];
    const coming = asked.filter((userId) => !facts.members.has(userId));
    checkRoom(group, coming.length);
    if (coming.length === 0) return unchanged(group, membersOf(facts, asked));
    const draft = new GroupDraft(group, facts.nowMs);
    const users = asTheyLeft(
      coming.map((userId) => ({ userId, role })),
      facts.restraints,
    );
    draft.add(MembershipChange.ADDED, actorId, users);
    return draft.decision(asked, facts.members);
  },
};

/**
 * Ends memberships, all or none.
 *
 * Refusals: GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_NOT_FOUND,
 * OWNER_CANNOT_LEAVE.
 */
export const removeMembers: Rule<
  { groupId: string; actorId: string; userIds: readonly string[] },
  GroupAnswer
> = {
  needs: ({ groupId, actorId, userIds }) => ({ groupId, memberIds: [actorId, ...userIds] }),
  decide({ groupId, actorId, userIds }, facts) {
    const group = groupOf(facts, groupId);
    const actor = actorOf(facts, group, actorId);
    const asked = [...new Set(userIds)];
    if (actor.role > Role.ADMIN && asked.some((userId) => userId !== actorId))
      throw roleTooLow("only the owner and admins may remove others");
    const members = asked.map((userId) => memberOf(facts, groupId, userId));
    for (const member of members) {
      if (member.userId !== actorId) checkOutranks(actor, member);
      else if (member.role === Role.OWNER) throw ownerCannotLeave();
    }
    if (members.length === 0) return unchanged(group);
    const draft = new GroupDraft(group, facts.nowMs);
    draft.remove(MembershipChange.REMOVED, actorId, members);
    return draft.decision(asked, facts.members);
  },
};

/** A request to change a member. */
export interface UpdateMember {
  groupId: string;
  actorId: string;
  userId: string;
  change: MemberChange;
}

/** The fields of a member that change. */
export interface MemberChange {
  role?: Role;
  mutedUntilMs?: number;
}

/**
 * Changes a member's role or mute.
 *
 * Refusals: GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_NOT_FOUND.
 */
export const updateMember: Rule<UpdateMember, GroupAnswer> = {
  needs: ({ groupId, actorId, userId }) => ({ groupId, memberIds: [actorId, userId] }),
  decide({ groupId, actorId, userId, change }, facts) {
    const group = groupOf(facts, groupId);
    const actor = actorOf(facts, group, actorId);
    if (actor.role > Role.ADMIN) throw roleTooLow("only the owner and admins may change members");
    const member = memberOf(facts, groupId, userId);
    checkMayChange(actor, member, change);
    const changed = { ...member, ...change };
    if (changed.role === member.role && changed.mutedUntilMs === member.mutedUntilMs)
      return unchanged(group, [member]);
    const draft = new GroupDraft(group, facts.nowMs);
    draft.update(actorId, [changed]);
    return draft.decision([userId], new Map([[userId, changed]]));
  },
};

function memberOf(facts: Facts, groupId: string, userId: string): MemberRecord {
  const member = facts.members.get(userId);
  if (member === undefined) throw memberNotFound(groupId, userId);
  return member;
}

function membersOf({ members }: Facts, userIds: readonly string[]): MemberRecord[] {
  return userIds.map((userId) => members.get(userId)).filter((member) => member !== undefined);
}

function checkRoom({ groupId, memberCount, memberLimit }: GroupRecord, more: number): void {
  if (more > 0 && memberCount + more > memberLimit) throw groupFull(groupId, memberLimit);
}

/** Has users come back as they left: to leave and return lifts no mute, and makes no member of a reader. */
function asTheyLeft(
  users: ReadonlyArray<{ userId: string; role: Role }>,
  restraints: ReadonlyMap<string, Restraint>,
): NewMember[] {
  return users.map(({ userId, role }) => {
    const { isReader = false, mutedUntilMs = 0 } = restraints.get(userId) ?? {};
    return { userId, role: isReader && role === Role.MEMBER ? Role.READER : role, mutedUntilMs };
  });
}

/** Only an OPEN group is joined by one's own wish, and only of that may a stranger know. */
function checkMayJoin({ groupId, joinPolicy }: GroupRecord): void {
  if (joinPolicy !== JoinPolicy.OPEN) throw groupNotFound(groupId);
}

function checkMayAdd(group: GroupRecord, actor: MemberRecord, role: Role, nowMs: number): void {
  const silence = silenceOf(group, actor, nowMs, "add members");
  if (silence !== undefined) throw silence;
  if (role === Role.OWNER) throw roleTooLow("a group has one owner; ownership is handed over");
  if (actor.role !== Role.MEMBER) return;
  if (group.joinPolicy === JoinPolicy.CLOSED || group.joinPolicy === JoinPolicy.APPROVAL) {
    throw new ChatError(
      ErrorReason.JOIN_NOT_ALLOWED,
      "only the owner and admins may add members to this group",
    );
  }
  if (role === Role.ADMIN) throw roleTooLow("only the owner and admins may name admins");
}

function checkMayChange(actor: MemberRecord, member: MemberRecord, change: MemberChange): void {
  if (member.role === Role.OWNER || change.role === Role.OWNER) {
    throw roleTooLow("ownership changes by handing it over only, and the owner cannot be muted");
  }
  if (actor.userId !== member.userId) checkOutranks(actor, member);
  else if (change.mutedUntilMs !== undefined) throw roleTooLow("admins may not change their own mute");
}

function checkOutranks(actor: MemberRecord, member: MemberRecord): void {
  if (actor.role >= member.role)
    throw roleTooLow("admins may not change or remove the owner or other admins");
}
