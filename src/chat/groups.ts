import { randomUUID } from "node:crypto";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Group,
  GroupSchema,
  JoinPolicy,
  type Member,
  Role,
} from "../../gen/parlance/chat/v1/group_pb.js";
import type * as pb from "../../gen/parlance/chat/v1/group_service_pb.js";
import type { Caller } from "../model/caller.ts";
import type { Clock } from "../model/clock.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { Handlers } from "../model/handlers.ts";
import { isTime } from "../model/numbers.ts";
import type { GroupSettings, MemberRecord, Role as StoredRole } from "../model/records.ts";
import { toGroup, toMember } from "../rules/group-events.ts";
import type { MemberChange } from "../rules/group-members.ts";
import { groupNotFound, notAMember, silenceOf } from "../rules/group-refusals.ts";
import { settingFields, takeSettings } from "../rules/group-settings.ts";
import type { ChangeStore } from "../store/ports/changes.ts";
import type { GroupStore } from "../store/ports/groups.ts";
import { GroupQuotas } from "./group-quotas.ts";
import type { ChatLimits } from "./limits.ts";
import { countWithin } from "./page-size.ts";
import type { PageTokens } from "./page-tokens.ts";

const defaultPageSize = 100;

/** The fields of `UpdateMemberRequest.member` a mask may name, and how each is taken. */
const memberFieldOf: Record<string, (member: Member) => MemberChange> = {
  role: (member) => ({ role: roleOf(member.role) }),
  muted_until_time: (member) => ({
    mutedUntilMs: member.mutedUntilTime === undefined ? 0 : timestampMs(member.mutedUntilTime),
  }),
};

/** Creates groups and keeps who belongs to them: the methods of `GroupService`. */
export class Groups implements Handlers<typeof pb.GroupService> {
  readonly #store: ChangeStore & GroupStore;
  readonly #pages: PageTokens;
  readonly #quotas: GroupQuotas;
  readonly #maxMembers: number;
  readonly #maxBytes: number;
  readonly #chosenIds: boolean;
  readonly #clock: Clock;

  constructor(store: ChangeStore & GroupStore, pages: PageTokens, limits: ChatLimits, clock: Clock) {
    this.#clock = clock;
    this.#maxBytes = limits.maxAnswerBytes;
    this.#chosenIds = limits.chosenGroupIds;
    this.#store = store;
    this.#pages = pages;
    this.#quotas = new GroupQuotas(store, limits);
    this.#maxMembers = limits.maxGroupMembers;
  }

  /** @throws ChatError INVALID_REQUEST, GROUP_ID_TAKEN, GROUP_FULL */
  async createGroup(request: pb.CreateGroupRequest, { userId, isHost }: Caller) {
    // Before anything is looked up: whether the id is taken is what nobody is to learn.
    if (request.groupId !== "" && !this.#chosenIds && isHost === undefined)
      throw invalid("group_id", "chosen_group_ids", "must be empty, as this server makes the ids of groups");
    const chosen = create(GroupSchema, chosenSettings(request));
    const settings = takeSettings(chosen, Object.keys(settingFields), this.#maxMembers) as GroupSettings;
    const memberIds = [...new Set(request.memberIds)].filter((memberId) => memberId !== userId);
    const groupId = request.groupId || randomUUID();
    const { answer } = await this.#quotas.run(
      { joining: [userId, ...memberIds], owner: userId },
      () => this.#store.change("createGroup", { groupId, ownerId: userId, settings, memberIds }),
      async () => (await this.#store.getGroup(groupId)) !== undefined,
    );
    return { group: toGroup(answer.group) };
  }

  async getGroup({ groupId }: pb.GetGroupRequest, { userId }: Caller) {
    const [group, member] = await Promise.all([
      this.#store.getGroup(groupId),
      this.#store.getMember(groupId, userId),
    ]);
    if (group === undefined || (member === undefined && group.joinPolicy !== JoinPolicy.OPEN))
      throw groupNotFound(groupId);
    return { group: toGroup(group), ...(member !== undefined && { me: toMember(member) }) };
  }

  async updateGroup({ group, updateMask }: pb.UpdateGroupRequest, { userId }: Caller) {
    const paths = masked(updateMask?.paths, settingFields);
    const settings = takeSettings(group as Group, paths, this.#maxMembers);
    const { answer } = await this.#store.change("updateGroup", {
      groupId: group?.groupId ?? "",
      actorId: userId,
      settings,
    });
    return { group: toGroup(answer.group) };
  }

  async disbandGroup({ groupId }: pb.DisbandGroupRequest, { userId }: Caller) {
    await this.#store.change("disbandGroup", { groupId, actorId: userId });
    return {};
  }

  async joinGroup({ groupId }: pb.JoinGroupRequest, { userId }: Caller) {
    const { answer } = await this.#quotas.run(
      { joining: [userId] },
      () => this.#store.change("joinGroup", { groupId, userId }),
      () => this.#isMember(groupId, userId),
    );
    return { member: toMember(answer.members[0] as MemberRecord) };
  }

  async leaveGroup({ groupId }: pb.LeaveGroupRequest, { userId }: Caller) {
    await this.#store.change("leaveGroup", { groupId, userId });
    return {};
  }

  async addMembers({ groupId, userIds, role }: pb.AddMembersRequest, { userId }: Caller) {
    const others = [...new Set(userIds)];
    const request = { groupId, actorId: userId, userIds: others, role: roleOf(role) };
    const { answer } = await this.#quotas.run(
      { joining: others },
      () => this.#store.change("addMembers", request),
      // How many groups somebody is in is nothing to tell those who may add nobody here.
      async (id) => (await this.#isMember(groupId, id)) || !(await this.#isMember(groupId, userId)),
    );
    return { members: answer.members.map(toMember) };
  }

  async removeMembers({ groupId, userIds }: pb.RemoveMembersRequest, { userId }: Caller) {
    await this.#store.change("removeMembers", { groupId, actorId: userId, userIds });
    return {};
  }

  async updateMember({ member, updateMask }: pb.UpdateMemberRequest, { userId }: Caller) {
    const target = member as Member;
    const until = target.mutedUntilTime;
    if (until !== undefined && !isTime(until)) {
      const description = "must be from year 1 to 9999, with nanos of 0 to 999,999,999";
      throw invalid("member.muted_until_time", "timestamp", description);
    }
    if (target.role === Role.OWNER && updateMask?.paths.includes("role")) {
      throw invalid("member.role", "not_owner", "must not be OWNER, which TransferOwnership gives");
    }
    let change: MemberChange = {};
    for (const path of masked(updateMask?.paths, memberFieldOf))
      change = { ...change, ...memberFieldOf[path]?.(target) };
    const { answer } = await this.#store.change("updateMember", {
      groupId: target.groupId,
      actorId: userId,
      userId: target.userId,
      change,
    });
    return { member: toMember(answer.members[0] as MemberRecord) };
  }

  async transferOwnership({ groupId, newOwnerId }: pb.TransferOwnershipRequest, { userId }: Caller) {
    const { answer } = await this.#quotas.run(
      { joining: [], owner: newOwnerId },
      () => this.#store.change("transferOwnership", { groupId, actorId: userId, newOwnerId }),
      async () => newOwnerId === userId || (await this.#store.getGroup(groupId))?.ownerId !== userId,
    );
    return { group: toGroup(answer.group) };
  }

  async listMembers({ groupId, pageSize, pageToken }: pb.ListMembersRequest, { userId }: Caller) {
    const scope = ["ListMembers", userId, groupId];
    const after = this.#pages.readId(scope, pageToken) ?? "";
    await this.requireMember(groupId, userId);
    const limit = pageSize || defaultPageSize;
    const members = await this.#store.listMembers(groupId, after, limit + 1);
    const page = members.slice(0, limit);
    return {
      members: page.map(toMember),
      nextPageToken: members.length > limit ? this.#pages.make(scope, page.at(-1)?.userId ?? "") : "",
    };
  }

  async batchGetMembers({ groupId, userIds }: pb.BatchGetMembersRequest, { userId }: Caller) {
    await this.requireMember(groupId, userId);
    const asked = [...new Set(userIds)];
    const members = await this.#store.getMembers(groupId, asked);
    const byId = new Map(members.map((member) => [member.userId, member]));
    return {
      members: asked.flatMap((id) => byId.get(id) ?? []).map(toMember),
      missingIds: asked.filter((id) => !byId.has(id)),
    };
  }

  async listMyGroups({ pageSize, pageToken }: pb.ListMyGroupsRequest, { userId }: Caller) {
    const scope = ["ListMyGroups", userId];
    const after = this.#pages.readId(scope, pageToken) ?? "";
    const limit = pageSize || defaultPageSize;
    const records = await this.#store.listGroups(userId, after, limit + 1, this.#maxBytes);
    const groups = records.slice(0, limit).map((record) => toGroup(record));
    const page = groups.slice(0, countWithin(groups, sizeOf, this.#maxBytes));
    return {
      groups: page,
      nextPageToken: records.length > page.length ? this.#pages.make(scope, page.at(-1)?.groupId ?? "") : "",
    };
  }

  /**
   * Makes sure that a user may speak in a group.
   *
   * @param deed what they want to do, to follow "may not"
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_MUTED, GROUP_MUTED
   */
  async requireSpeaker(groupId: string, userId: string, deed: string): Promise<void> {
    const [group, member] = await Promise.all([
      this.#store.getGroup(groupId),
      this.#store.getMember(groupId, userId),
    ]);
    if (group === undefined) throw groupNotFound(groupId);
    if (member === undefined) throw notAMember(groupId, group.joinPolicy);
    const silence = silenceOf(group, member, this.#clock.now(), deed);
    if (silence !== undefined) throw silence;
  }

  async #isMember(groupId: string, userId: string): Promise<boolean> {
    return (await this.#store.getMember(groupId, userId)) !== undefined;
  }

  /**
   * Returns a user's membership.
   *
   * @throws ChatError GROUP_NOT_FOUND, or NOT_A_MEMBER where anyone may know of the group
   */
  async requireMember(groupId: string, userId: string): Promise<MemberRecord> {
    const member = await this.#store.getMember(groupId, userId);
    if (member !== undefined) return member;
    const group = await this.#store.getGroup(groupId);
    throw group === undefined ? groupNotFound(groupId) : notAMember(groupId, group.joinPolicy);
  }
}

/** Returns the settings that a group is made with, which have the same names in both messages. */
function chosenSettings(request: pb.CreateGroupRequest): MessageInitShape<typeof GroupSchema> {
  return Object.fromEntries(
    Object.entries(request).filter(([name]) => Object.hasOwn(GroupSchema.field, name)),
  );
}

/** At least the bytes that a group takes within a list, and no less than by what the store ends a page early. */
function sizeOf(group: Group): number {
  const { length } = toBinary(GroupSchema, group);
  return 8 + Math.max(length, Buffer.byteLength(JSON.stringify(group.attributes)));
}

/** The answer to a field that is wrong by a rule the schema cannot say. */
function invalid(field: string, rule: string, description: string): ChatError {
  return new ChatError(ErrorReason.INVALID_REQUEST, `${field}: ${description}`, {
    violations: [{ field, rule, description }],
  });
}

/** Returns the paths of a mask. @throws ChatError FIELD_NOT_UPDATABLE */
function masked(paths: readonly string[] | undefined, known: object): readonly string[] {
  const all = paths ?? [];
  const wrong = all.filter((path) => !Object.hasOwn(known, path));
  if (wrong.length === 0 && all.length > 0) return all;
  const allowed = Object.keys(known).join(", ");
  throw new ChatError(ErrorReason.FIELD_NOT_UPDATABLE, `update_mask takes one or more of: ${allowed}`, {
    violations: (wrong.length > 0 ? wrong : [""]).map((path) => ({
      field: "update_mask",
      rule: "updatable",
      description: path === "" ? "must name at least one field" : `${path} cannot be changed this way`,
    })),
  });
}

function roleOf(role: Role): StoredRole {
  return role === Role.UNSPECIFIED ? Role.MEMBER : role;
}
