import type { GroupRecord, MemberRecord } from "../model/records.ts";
import { groupNotFound, notAMember } from "./group-refusals.ts";
import type { Facts } from "./rule.ts";

/** Returns the group that stands. @throws ChatError GROUP_NOT_FOUND */
export function groupOf({ group }: Facts, groupId: string): GroupRecord {
  if (group === undefined || group.isDisbanded) throw groupNotFound(groupId);
  return group.record;
}

/**
 * Returns the membership of who wants the change.
 *
 * @throws ChatError NOT_A_MEMBER or GROUP_NOT_FOUND, by what they may know
 */
export function actorOf(
  { members }: Facts,
  { groupId, joinPolicy }: GroupRecord,
  userId: string,
): MemberRecord {
  const member = members.get(userId);
  if (member === undefined) throw notAMember(groupId, joinPolicy);
  return member;
}
