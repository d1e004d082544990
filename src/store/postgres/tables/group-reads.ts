import type { GroupRecord, MemberRecord, MembershipsPage } from "../../../model/records.ts";
import { textArray } from "../connection/binary-arrays.ts";
import type { Connections, Statement } from "../connection/connections.ts";
import {
  type GroupRow,
  groupColumns,
  type MemberRow,
  memberColumns,
  toGroupRecord,
  toMemberRecord,
} from "./group-rows.ts";

const groupStatement: Statement = {
  name: "get_group",
  text: `SELECT ${groupColumns} FROM groups g WHERE g.group_id = $1 AND g.disband_time_ms IS NULL`,
};
const memberStatement: Statement = {
  name: "get_member",
  text: `
    SELECT ${memberColumns} FROM groups g JOIN members m ON m.user_id = $2 AND m.conversation = g.conversation
    WHERE g.group_id = $1
  `,
};
const someMembersStatement: Statement = {
  name: "get_members",
  text: `
    SELECT ${memberColumns} FROM groups g JOIN members m ON m.user_id = ANY ($2) AND m.conversation = g.conversation
    WHERE g.group_id = $1
  `,
};
const membersStatement: Statement = {
  name: "list_members",
  text: `
    SELECT ${memberColumns} FROM members m
    WHERE m.conversation = (SELECT conversation FROM groups WHERE group_id = $1) AND m.user_id > $2
    ORDER BY m.user_id LIMIT $3
  `,
};
const groupsStatement: Statement = {
  name: "list_groups",
  text: `
    SELECT q.* FROM (
      SELECT p.*, sum(p.bytes) OVER (ORDER BY p."groupId") - p.bytes AS before
      FROM (
        SELECT ${groupColumns}, octet_length(g.attributes) + octet_length(g.other_settings) AS bytes
        FROM members m JOIN groups g ON g.conversation = m.conversation
        WHERE m.user_id = $1 AND g.group_id > $2 ORDER BY g.group_id LIMIT $3
      ) p
    ) q
    WHERE q.before <= $4 ORDER BY q."groupId"
  `,
};
const countsStatement: Statement = {
  name: "count_groups",
  text: `
    SELECT m.user_id AS "userId", count(*) AS joined, count(*) FILTER (WHERE g.owner_id = m.user_id) AS owned
    FROM members m JOIN groups g ON g.conversation = m.conversation WHERE m.user_id = ANY ($1) GROUP BY m.user_id
  `,
};
const membershipsStatement: Statement = {
  name: "list_memberships",
  text: `
    SELECT h.last_position AS "lastPosition", g.group_id AS "groupId", m.visible_from_seq AS "visibleFromSeq"
    FROM log_head h
    LEFT JOIN (members m JOIN groups g ON g.conversation = m.conversation) ON m.user_id = $1
  `,
};

/** Makes the reads of groups and their members. */
export function createGroupReads(reads: Connections) {
  return {
    async getGroup(groupId: string): Promise<GroupRecord | undefined> {
      return (await reads.run<GroupRow>(groupStatement, [groupId])).map(toGroupRecord)[0];
    },

    async getMember(groupId: string, userId: string): Promise<MemberRecord | undefined> {
      const rows = await reads.run<MemberRow>(memberStatement, [groupId, userId]);
      return rows.map((row) => toMemberRecord(groupId, row))[0];
    },

    async getMembers(groupId: string, userIds: readonly string[]): Promise<MemberRecord[]> {
      const rows = await reads.run<MemberRow>(someMembersStatement, [groupId, textArray(userIds)]);
      return rows.map((row) => toMemberRecord(groupId, row));
    },

    async listMembers(groupId: string, afterUserId: string, limit: number): Promise<MemberRecord[]> {
      const rows = await reads.run<MemberRow>(membersStatement, [groupId, afterUserId, limit]);
      return rows.map((row) => toMemberRecord(groupId, row));
    },

    async listGroups(
      userId: string,
      afterGroupId: string,
      limit: number,
      maxBytes = Number.MAX_SAFE_INTEGER,
    ): Promise<GroupRecord[]> {
      type Row = GroupRow & { bytes: number; before: unknown };
      const rows = await reads.run<Row>(groupsStatement, [userId, afterGroupId, limit, maxBytes]);
      return rows.map(({ bytes: _, before: __, ...row }) => toGroupRecord(row));
    },

    async countGroups(userIds: readonly string[]): Promise<Map<string, { joined: number; owned: number }>> {
      type Row = { userId: string; joined: number; owned: number };
      const rows = await reads.run<Row>(countsStatement, [textArray(userIds)]);
      return new Map(rows.map(({ userId, ...counts }) => [userId, counts]));
    },

    async listMemberships(userId: string): Promise<MembershipsPage> {
      type Row = { lastPosition: number; groupId: string | null; visibleFromSeq: number };
      const rows = await reads.run<Row>(membershipsStatement, [userId]);
      const memberships = rows.flatMap(({ groupId, visibleFromSeq }) =>
        groupId === null ? [] : [{ groupId, visibleFromSeq }],
      );
      return { memberships, through: rows[0]?.lastPosition ?? 0 };
    },
  };
}
