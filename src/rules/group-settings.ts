/** The rules of groups themselves: making, setting, ending and handing them over. */

import { isDeepStrictEqual } from "node:util";
import type { Group } from "../../gen/parlance/chat/v1/group_pb.js";
import * as pb from "../../gen/parlance/chat/v1/group_pb.js";
import { ChatError, ErrorReason } from "../model/errors.ts";
import { type GroupSettings, JoinPolicy, Role } from "../model/records.ts";
import { type GroupAnswer, GroupDraft, type NewMember, unchanged } from "./group-draft.ts";
import { MembershipChange } from "./group-events.ts";
import { actorOf, groupOf } from "./group-facts.ts";
import { groupFull, memberLimitTooLow, memberNotFound, roleTooLow } from "./group-refusals.ts";
import type { Rule } from "./rule.ts";

/** The fields of `Group` that may be chosen, by their names in the proto, and how each is taken. */
export const settingFields: Readonly<
  Record<string, (group: Group, maxMembers: number) => Partial<GroupSettings>>
> = {
  name: ({ name }) => ({ name }),
  join_policy: ({ joinPolicy }) => ({
    joinPolicy: joinPolicy === pb.JoinPolicy.UNSPECIFIED ? JoinPolicy.INVITE : joinPolicy,
  }),
  history_for_new_members: ({ historyForNewMembers }) => ({ historyForNewMembers }),
  muted: ({ muted }) => ({ muted }),
  member_limit: ({ memberLimit }, maxMembers) => ({
    memberLimit: memberLimit > 0 ? Math.min(memberLimit, maxMembers) : maxMembers,
  }),
  attributes: ({ attributes }) => ({ attributes }),
};

/**
 * Takes settings from a group that a request holds.
 *
 * @param names of the fields to take, of {@link settingFields}
 * @param maxMembers the most members any group may have
 */
export function takeSettings(
  group: Group,
  names: readonly string[],
  maxMembers: number,
): Partial<GroupSettings> {
  return Object.assign({}, ...names.map((name) => settingFields[name]?.(group, maxMembers)));
}

/** A request to make a group. */
export interface CreateGroup {
  groupId: string;
  ownerId: string;
  settings: GroupSettings;
  /** The members it begins with, beside the owner. */
  memberIds: readonly string[];
}

/**
 * Makes a group with two events: its settings, then its members. The id of a
 * group that was disbanded stays taken.
 *
 * Refusals: GROUP_ID_TAKEN, GROUP_FULL.
 */
export const createGroup: Rule<CreateGroup, GroupAnswer> = {
  needs: ({ groupId }) => ({ groupId, memberIds: [] }),
  decide({ groupId, ownerId, settings, memberIds }, facts) {
    if (facts.group !== undefined)
      throw new ChatError(ErrorReason.GROUP_ID_TAKEN, `another group has or had the id "${groupId}"`);
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

    const timeMs = facts.nowMs;
    const draft = new GroupDraft(
      {
        ...settings,
        groupId,
        ownerId,
        memberCount: users.length,
        createTimeMs: timeMs,
        updateTimeMs: timeMs,
        updaterId: ownerId,
        seq: 0,
      },
      timeMs,
    );
    const made = draft.tellSettings(ownerId);
    draft.record.memberCount = 0;
    draft.add(MembershipChange.ADDED, ownerId, users, made);
    return draft.decision(users.map(({ userId }) => userId));
  },
};

/** A request to change settings. */
export interface UpdateGroup {
  groupId: string;
  actorId: string;
  settings: Partial<GroupSettings>;
}

/**
 * Changes settings.
 *
 * Refusals: GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_LIMIT_TOO_LOW.
 */
export const updateGroup: Rule<UpdateGroup, GroupAnswer> = {
  needs: ({ groupId, actorId }) => ({ groupId, memberIds: [actorId] }),
  decide({ groupId, actorId, settings }, facts) {
    const group = groupOf(facts, groupId);
    if (actorOf(facts, group, actorId).role > Role.ADMIN)
      throw roleTooLow("only the owner and admins may change the group");
    const changed = { ...group, ...settings };
    if (isDeepStrictEqual(changed, group)) return unchanged(group);
    if (changed.memberLimit !== group.memberLimit && changed.memberLimit < changed.memberCount)
      throw memberLimitTooLow(changed.memberLimit, changed.memberCount);
    const draft = new GroupDraft(changed, facts.nowMs);
    draft.tellSettings(actorId);
    return draft.decision();
  },
};

/**
 * Ends a group: its last event goes to all members, who are members no more.
 *
 * Refusals: GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW.
 */
export const disbandGroup: Rule<{ groupId: string; actorId: string }, GroupAnswer> = {
  needs: ({ groupId, actorId }) => ({ groupId, memberIds: [actorId] }),
  decide({ groupId, actorId }, facts) {
    const group = groupOf(facts, groupId);
    if (actorOf(facts, group, actorId).role !== Role.OWNER)
      throw roleTooLow("only the owner may disband the group");
    const draft = new GroupDraft(group, facts.nowMs);
    draft.disband(actorId);
    return draft.decision();
  },
};

/** A request to hand a group over. */
export interface TransferOwnership {
  groupId: string;
  actorId: string;
  newOwnerId: string;
}

/**
 * Makes another member the owner; the former owner becomes an admin.
 *
 * Refusals: GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_NOT_FOUND.
 */
export const transferOwnership: Rule<TransferOwnership, GroupAnswer> = {
  needs: ({ groupId, actorId, newOwnerId }) => ({ groupId, memberIds: [actorId, newOwnerId] }),
  decide({ groupId, actorId, newOwnerId }, facts) {
    const group = groupOf(facts, groupId);
    const owner = actorOf(facts, group, actorId);
    if (owner.role !== Role.OWNER) throw roleTooLow("only the owner may hand over the group");
    const heir = facts.members.get(newOwnerId);
    if (heir === undefined) throw memberNotFound(groupId, newOwnerId);
    if (newOwnerId === actorId) return unchanged(group);
    // Nobody could lift a mute of the owner.
    const members = [
      { ...heir, role: Role.OWNER, mutedUntilMs: 0 },
      { ...owner, role: Role.ADMIN },
    ];
    const draft = new GroupDraft({ ...group, ownerId: newOwnerId }, facts.nowMs);
    draft.update(actorId, members);
    return draft.decision([newOwnerId, actorId], new Map(members.map((member) => [member.userId, member])));
  },
};
