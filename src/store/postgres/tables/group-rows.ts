import type { GroupRecord, MemberRecord } from "../../../model/records.ts";
import { decodeOtherSettings } from "../../other-settings.ts";

/** The columns of {@link toGroupRecord}, for a table named `g`. */
export const groupColumns = `
  g.group_id AS "groupId", g.name, g.join_policy AS "joinPolicy",
  g.history_for_new_members AS "historyForNewMembers", g.muted, g.member_limit AS "memberLimit", g.attributes,
  g.owner_id AS "ownerId", g.member_count AS "memberCount", g.create_time_ms AS "createTimeMs",
  g.update_time_ms AS "updateTimeMs", g.updater_id AS "updaterId", g.seq, g.other_settings AS "otherSettings"
`;

/** The columns of {@link toMemberRecord}, for a table named `m`. */
export const memberColumns = `
  m.user_id AS "userId", m.role, m.join_time_ms AS "joinTimeMs", m.join_seq AS "joinSeq",
  m.visible_from_seq AS "visibleFromSeq", m.muted_until_ms AS "mutedUntilMs"
`;

/** A row of {@link groupColumns}. */
export interface GroupRow extends Omit<GroupRecord, "name" | "attributes"> {
  name: Uint8Array;
  attributes: string;
  otherSettings: Uint8Array;
}

/** A row of {@link memberColumns}. */
export type MemberRow = Omit<MemberRecord, "groupId">;

const decoder = new TextDecoder();

/** Makes a group of its row. */
export function toGroupRecord(row: GroupRow): GroupRecord {
  const { otherSettings, ...columns } = row;
  return {
    ...decodeOtherSettings(otherSettings),
    ...columns,
    name: decoder.decode(row.name),
    attributes: JSON.parse(row.attributes),
  };
}

/** Makes a member of a group of its row. */
export function toMemberRecord(groupId: string, row: MemberRow): MemberRecord {
  return { groupId, ...row };
}
