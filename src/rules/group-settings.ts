import { isDeepStrictEqual } from "node:util";
import { groupConversationId } from "../../wire/ids.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import { type GroupChange, type GroupRecord, type GroupSettings, Role } from "../model/records.ts";
import { MembershipChange } from "./group-events.ts";
import { GroupLog, type NewMember } from "./group-log.ts";
import { groupFull, memberLimitTooLow, memberNotFound, roleTooLow } from "./group-refusals.ts";
import type { GroupTables, OwnLog, StoredGroup } from "./group-tables.ts";

/** Makes the changes of groups themselves: made, set, ended, handed over. */
export function createGroupSettings(tables: GroupTables, log: OwnLog) {
  const events = new GroupLog(tables, log);

  return {
    createGroup(
      groupId: string,
      ownerId: string,
      settings: GroupSettings,
      memberIds: readonly string[],
    ): GroupChange {
      if (tables.isTaken(groupId)) {
        throw new ChatError(ErrorReason.GROUP_ID_TAKEN, `another group has or had the id "${groupId}"`);
      }
      const others = new Set(memberIds);
      others.delete(ownerId);
      const users: NewMember[] = [{ userId: ownerId, role: Role.OWNER, mutedUntilMs: 0 }];
      for (const userId of others) users.push({ userId, role: Role.MEMBER, mutedUntilMs: 0 });
      if (users.length > settings.memberLimit) {
        const description = `must be at least ${users.length}, the number of members the group begins with`;
        throw groupFull(groupId, settings.memberLimit, [
          { field: "member_limit", rule: "member_count", description },
        ]);
      }

      const timeMs = log.acceptTimeMs;
      const group: StoredGroup = {
        key: log.createConversation(groupConversationId(groupId)),
        record: {
          ...settings,
          groupId,
          ownerId,
          memberCount: users.length,
          createTimeMs: timeMs,
          updateTimeMs: timeMs,
          updaterId: ownerId,
          seq: 1,
        },
      };
      tables.insert(group);
      const made = events.appendSettings(group, ownerId);
      group.record.memberCount = 0;
      const joined = events.add(group, MembershipChange.ADDED, ownerId, users, made.seq);
      return { group: group.record, members: joined.members, events: [made, ...joined.events] };
    },

    updateGroup(groupId: string, actorId: string, settings: Partial<GroupSettings>): GroupChange {
      const group = tables.group(groupId);
      const { role } = tables.actor(group, actorId);
      if (role > Role.ADMIN) throw roleTooLow("only the owner and admins may change the group");
      const changed = { ...group.record, ...settings };
      if (isDeepStrictEqual(changed, group.record)) return unchanged(group.record);
      if (changed.memberLimit !== group.record.memberLimit && changed.memberLimit < changed.memberCount)
        throw memberLimitTooLow(changed.memberLimit, changed.memberCount);
      group.record = changed;
      const event = events.appendSettings(group, actorId);
      tables.save(group);
      return { group: group.record, members: [], events: [event] };
    },

    disbandGroup(groupId: string, actorId: string): GroupChange {
      const group = tables.group(groupId);
      if (tables.actor(group, actorId).role !== Role.OWNER)
        throw roleTooLow("only the owner may disband the group");
      const event = events.appendDisbanded(group, actorId);
      tables.save(group);
      tables.disband(group, event);
      return { group: group.record, members: [], events: [event] };
    },

    transferOwnership(groupId: string, actorId: string, newOwnerId: string): GroupChange {
      const group = tables.group(groupId);
      const owner = tables.actor(group, actorId);
      if (owner.role !== Role.OWNER) throw roleTooLow("only the owner may hand over the group");
      const heir = tables.member(group, newOwnerId);
      if (heir === undefined) throw memberNotFound(groupId, newOwnerId);
      if (newOwnerId === actorId) return unchanged(group.record);
      // Nobody could lift a mute of the owner.
      const members = [
        { ...heir, role: Role.OWNER, mutedUntilMs: 0 },
        { ...owner, role: Role.ADMIN },
      ];
      const event = events.update(group, actorId, members);
      group.record.ownerId = newOwnerId;
      tables.save(group);
      return { group: group.record, members, events: [event] };
    },
  };
}

function unchanged(group: GroupRecord): GroupChange {
  return { group, members: [], events: [] };
}
