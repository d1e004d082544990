import { ChatError, ErrorReason } from "../model/errors.ts";
import { type GroupChange, JoinPolicy, type MemberRecord, Role } from "../model/records.ts";
import { MembershipChange } from "./group-events.ts";
import { GroupLog, type NewMember } from "./group-log.ts";
import {
  groupFull,
  groupNotFound,
  memberNotFound,
  ownerCannotLeave,
  roleTooLow,
  silenceOf,
} from "./group-refusals.ts";
import type { GroupTables, OwnLog, Restraint, StoredGroup } from "./group-tables.ts";

/** Makes the changes of who belongs to groups, and as what. */
export function createGroupMembers(tables: GroupTables, log: OwnLog) {
  const events = new GroupLog(tables, log);

  function checkRoom({ record }: StoredGroup, more: number): void {
    if (more > 0 && record.memberCount + more > record.memberLimit)
      throw groupFull(record.groupId, record.memberLimit);
  }

  return {
    joinGroup(groupId: string, userId: string): GroupChange {
      const group = tables.group(groupId);
      if (tables.member(group, userId) !== undefined) {
        throw new ChatError(
          ErrorReason.ALREADY_A_MEMBER,
          `you are already a member of the group "${groupId}"`,
        );
      }
      checkMayJoin(group);
      checkRoom(group, 1);
      const users = asTheyLeft([{ userId, role: Role.MEMBER }], tables.restraints(group, [userId]));
      const joined = events.add(group, MembershipChange.JOINED, userId, users);
      tables.save(group);
      return { group: group.record, ...joined };
    },

    leaveGroup(groupId: string, userId: string): GroupChange {
      const group = tables.group(groupId);
      const member = tables.actor(group, userId);
      if (member.role === Role.OWNER) throw ownerCannotLeave();
      const left = events.remove(group, MembershipChange.LEFT, userId, [member]);
      tables.save(group);
      return { group: group.record, members: [member], events: left };
    },

    addMembers(groupId: string, actorId: string, userIds: readonly string[], role: Role): GroupChange {
      const group = tables.group(groupId);
      checkMayAdd(group, tables.actor(group, actorId), role);
      const asked = [...new Set(userIds)];
      const members = new Map<string, MemberRecord | undefined>(
        asked.map((id) => [id, tables.member(group, id)]),
      );
      const userIdsToAdd = asked.filter((id) => members.get(id) === undefined);
      checkRoom(group, userIdsToAdd.length);
      const users = asTheyLeft(
        userIdsToAdd.map((userId) => ({ userId, role })),
        tables.restraints(group, userIdsToAdd),
      );
      const added = events.add(group, MembershipChange.ADDED, actorId, users);
      for (const member of added.members) members.set(member.userId, member);
      if (users.length > 0) tables.save(group);
      const all = [...members.values()].filter((member) => member !== undefined);
      return { group: group.record, members: all, events: added.events };
    },

    removeMembers(groupId: string, actorId: string, userIds: readonly string[]): GroupChange {
      const group = tables.group(groupId);
      const actor = tables.actor(group, actorId);
      const asked = [...new Set(userIds)];
      if (actor.role > Role.ADMIN && asked.some((userId) => userId !== actorId)) {
        throw roleTooLow("only the owner and admins may remove others");
      }
      const members = asked.map((userId) => {
        const member = tables.member(group, userId);
        if (member === undefined) throw memberNotFound(groupId, userId);
        return member;
      });
      for (const member of members) {
        if (member.userId !== actorId) checkOutranks(actor, member);
        else if (member.role === Role.OWNER) throw ownerCannotLeave();
      }
      const removed = events.remove(group, MembershipChange.REMOVED, actorId, members);
      if (members.length > 0) tables.save(group);
      return { group: group.record, members, events: removed };
    },

    updateMember(
      groupId: string,
      actorId: string,
      userId: string,
      change: { role?: Role; mutedUntilMs?: number },
    ): GroupChange {
      const group = tables.group(groupId);
      const actor = tables.actor(group, actorId);
      if (actor.role > Role.ADMIN) throw roleTooLow("only the owner and admins may change members");
      const member = tables.member(group, userId);
      if (member === undefined) throw memberNotFound(groupId, userId);
      checkMayChange(actor, member, change);
      const changed = { ...member, ...change };
      if (changed.role === member.role && changed.mutedUntilMs === member.mutedUntilMs) {
        return { group: group.record, members: [member], events: [] };
      }
      return { group: group.record, members: [changed], events: [events.update(group, actorId, [changed])] };
    },
  };
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
function checkMayJoin({ record }: StoredGroup): void {
  if (record.joinPolicy !== JoinPolicy.OPEN) throw groupNotFound(record.groupId);
}

function checkMayAdd({ record }: StoredGroup, actor: MemberRecord, role: Role): void {
  const silence = silenceOf(record, actor, "add members");
  if (silence !== undefined) throw silence;
  if (role === Role.OWNER) throw roleTooLow("a group has one owner; ownership is handed over");
  if (actor.role !== Role.MEMBER) return;
  if (record.joinPolicy === JoinPolicy.CLOSED || record.joinPolicy === JoinPolicy.APPROVAL) {
    throw new ChatError(
      ErrorReason.JOIN_NOT_ALLOWED,
      "only the owner and admins may add members to this group",
    );
  }
  if (role === Role.ADMIN) throw roleTooLow("only the owner and admins may name admins");
}

function checkMayChange(
  actor: MemberRecord,
  member: MemberRecord,
  change: { role?: Role; mutedUntilMs?: number },
) {
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
