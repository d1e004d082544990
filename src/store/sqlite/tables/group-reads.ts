import type { DatabaseSync } from "node:sqlite";
import type { GroupRecord, MemberRecord, MembershipsPage } from "../../../model/records.ts";
import { takeWithin } from "../../take-within.ts";
import { groupColumns, memberColumns, toGroupRecord, toMemberRecord } from "./group-rows.ts";

/** Makes the reads of groups and their members. */
export function createGroupReads(database: DatabaseSync) {
  const selectGroup = database.prepare(
    `SELECT ${groupColumns} FROM groups g WHERE g.group_id = ? AND g.disband_time_ms IS NULL`,
  );
  const selectMember = database.prepare(`
    SELECT ${memberColumns} FROM groups g JOIN members m ON m.user_id = ? AND m.conversation = g.conversation
    WHERE g.group_id = ?
  `);
  const selectMembers = database.prepare(`
    SELECT ${memberColumns} FROM groups g JOIN members m ON m.conversation = g.conversation
    WHERE g.group_id = ? AND m.user_id > ? ORDER BY m.user_id LIMIT ?
  `);
  const selectGroups = database.prepare(`
    SELECT ${groupColumns} FROM members m JOIN groups g ON g.conversation = m.conversation
    WHERE m.user_id = ? AND g.group_id > ? ORDER BY g.group_id LIMIT ?
  `);
  const selectMemberships = database.prepare(`
    SELECT g.group_id AS groupId, m.visible_from_seq AS visibleFromSeq
    FROM members m JOIN groups g ON g.conversation = m.conversation WHERE m.user_id = ?
  `);
  const selectCounts = database.prepare(`
    SELECT count(*) AS joined, count(*) FILTER (WHERE g.owner_id = m.user_id) AS owned
    FROM members m JOIN groups g ON g.conversation = m.conversation WHERE m.user_id = ?
  `);
  const selectLast = database.prepare("SELECT ifnull(max(position), 0) AS position FROM events");

  return {
    getGroup(groupId: string): GroupRecord | undefined {
      const row = selectGroup.get(groupId);
      return row === undefined ? undefined : toGroupRecord(row);
    },

    getMember(groupId: string, userId: string): MemberRecord | undefined {
      const row = selectMember.get(userId, groupId);
      return row === undefined ? undefined : toMemberRecord(groupId, row);
    },

    getMembers(groupId: string, userIds: readonly string[]): MemberRecord[] {
      return userIds
        .map((userId) => selectMember.get(userId, groupId))
        .filter((row) => row !== undefined)
        .map((row) => toMemberRecord(groupId, row));
    },

    listMembers(groupId: string, afterUserId: string, limit: number): MemberRecord[] {
      return selectMembers.all(groupId, afterUserId, limit).map((row) => toMemberRecord(groupId, row));
    },

    listGroups(userId: string, afterGroupId: string, limit: number, maxBytes?: number): GroupRecord[] {
      const rows = selectGroups.iterate(userId, afterGroupId, limit);
      return takeWithin(
        rows,
        maxBytes,
        ({ attributes, otherSettings }) => String(attributes).length + (otherSettings as Uint8Array).length,
      ).map(toGroupRecord);
    },

    countGroups(userIds: readonly string[]): Map<string, { joined: number; owned: number }> {
      const counts = userIds.map((userId) => {
        const row = selectCounts.get(userId);
        return [userId, { joined: Number(row?.joined), owned: Number(row?.owned) }] as const;
      });
      return new Map(counts.filter(([, { joined }]) => joined > 0));
    },

    listMemberships(userId: string): MembershipsPage {
      const memberships = selectMemberships.all(userId) as unknown as MembershipsPage["memberships"];
      return { memberships, through: Number(selectLast.get()?.position) };
    },
  };
}
