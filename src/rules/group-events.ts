/**
 * Makes the bodies of group and membership events: messages of the proto, behind
 * which the store writes where the event stands.
 */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Group,
  GroupSchema,
  type Member,
  MemberSchema,
  MembershipChange,
  MembershipChangedSchema,
} from "../../gen/parlance/chat/v1/group_pb.js";
import { groupConversationId } from "../../wire/ids.ts";
import { tagOf } from "../../wire/tags.ts";
import { type GroupRecord, type MemberRecord, Role } from "../model/records.ts";
import type { PlaceTags, Restraint } from "./rule.ts";

export { MembershipChange };

/** The most members one membership event speaks of; a larger change takes several events. */
export const maxMembersPerEvent = 500;

/** The fields in which a GROUP event tells its place. */
export const groupPlaceTags: PlaceTags = { seq: tagOf(GroupSchema.field.seq) };
/** The fields in which a MEMBERSHIP event tells its place. */
export const membershipPlaceTags: PlaceTags = {
  seq: tagOf(MembershipChangedSchema.field.seq),
  acceptTime: tagOf(MembershipChangedSchema.field.acceptTime),
};

/** Makes the proto's `Group` of a stored one; `disbandTimeMs` only for the last event of a group. */
export function toGroup(group: GroupRecord, disbandTimeMs?: number): Group {
  const { createTimeMs, updateTimeMs, seq, laterSettings, ...fields } = group;
  const message = create(GroupSchema, {
    ...fields,
    createTime: timestampFromMs(createTimeMs),
    conversationId: groupConversationId(group.groupId),
    seq: BigInt(seq),
    updateTime: timestampFromMs(updateTimeMs),
    ...optionalTime("disbandTime", disbandTimeMs ?? 0),
  });
  if (laterSettings !== undefined) message.$unknown = laterSettings;
  return message;
}

/** Makes the proto's `Member` of a stored one. */
export function toMember(member: MemberRecord): Member {
  return create(MemberSchema, {
    groupId: member.groupId,
    userId: member.userId,
    role: member.role,
    joinTime: timestampFromMs(member.joinTimeMs),
    visibleFromSeq: BigInt(member.visibleFromSeq),
    ...optionalTime("mutedUntilTime", member.mutedUntilMs),
  });
}

/** Makes the body of a GROUP event: the group as it is after it, but for its seq. */
export function encodeGroup(group: GroupRecord, disbandTimeMs?: number): Uint8Array {
  return toBinary(GroupSchema, toGroup(group, disbandTimeMs));
}

/** The contents of a MEMBERSHIP event. */
export interface MembershipEvent {
  groupId: string;
  change: MembershipChange;
  actorId: string;
  /** At most {@link maxMembersPerEvent}. Those who may read from this event on have a `visibleFromSeq` of 0. */
  members: readonly MemberRecord[];
  /** How many members the group has after the event. */
  memberCount: number;
}

/** Makes the body of a MEMBERSHIP event, but for its seq and time. */
export function encodeMembershipChanged(event: MembershipEvent): Uint8Array {
  return toBinary(
    MembershipChangedSchema,
    create(MembershipChangedSchema, {
      groupId: event.groupId,
      conversationId: groupConversationId(event.groupId),
      change: event.change,
      actorId: event.actorId,
      members: event.members.map(toMember),
      memberCount: event.memberCount,
    }),
  );
}

/**
 * Reads how memberships ended from the body of the MEMBERSHIP event that ended
 * them: it tells the members as they were.
 */
export function readRestraints(body: Uint8Array): Map<string, Restraint> {
  const { members } = fromBinary(MembershipChangedSchema, body);
  return new Map(
    members.map(({ userId, role, mutedUntilTime }) => [
      userId,
      {
        isReader: role === Role.READER,
        mutedUntilMs: mutedUntilTime === undefined ? 0 : timestampMs(mutedUntilTime),
      },
    ]),
  );
}

/** A field of that name, left out when the time is 0. */
function optionalTime<Name extends string>(name: Name, timeMs: number): { [key in Name]?: Timestamp } {
  return timeMs === 0 ? {} : ({ [name]: timestampFromMs(timeMs) } as { [key in Name]: Timestamp });
}
