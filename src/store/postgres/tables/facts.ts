import type { GroupRecord, MemberRecord } from "../../../model/records.ts";
import { readRestraints } from "../../../rules/group-events.ts";
import type { FactKeys, Facts, Restraint } from "../../../rules/rule.ts";
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

/** The facts of a request, in the form in which `change_1` compares them with what is true then. */
export interface FoundFacts extends Facts {
  /** JSON; null when there is no such conversation. */
  compared: string | null;
}

const groupStatement: Statement = {
  name: "facts_1",
  text: `
    SELECT greatest(h.last_time_ms, now_ms()) AS "nowMs", ${groupColumns},
      g.disband_time_ms IS NOT NULL AS "isDisbanded",
      CASE WHEN m.user_id IS NOT NULL THEN (SELECT row_to_json(r) FROM (SELECT ${memberColumns}) r) END AS member
    FROM log_head h LEFT JOIN groups g ON g.group_id = $1
      LEFT JOIN members m ON m.conversation = g.conversation AND m.user_id = ANY ($2)
  `,
};

/** Finds the last stays of users in a group, and the events that ended them. */
const lastStaysStatement: Statement = {
  name: "last_stays_1",
  text: `
    SELECT json_agg(s.user_id) AS "userIds", s.seq AS "toSeq", e.body
    FROM (
      SELECT u.user_id, g.conversation, (
        SELECT max(to_seq) FROM past_stays p WHERE p.user_id = u.user_id AND p.conversation = g.conversation
      ) AS seq
      FROM groups g CROSS JOIN unnest($2::text[]) AS u (user_id) WHERE g.group_id = $1
    ) s
    LEFT JOIN events e ON e.conversation = s.conversation AND e.seq = s.seq
    GROUP BY s.seq, e.position
  `,
};

interface LastStays {
  userIds: string[];
  /** Both are null for those who never were members. */
  toSeq: number | null;
  body: Uint8Array | null;
}

/** Makes the function that reads what rules decide by. */
export function createFactReads(connections: Connections): (keys: FactKeys) => Promise<FoundFacts> {
  type Row = GroupRow & { nowMs: number; isDisbanded: boolean; member: MemberRow | null };

  return async ({ groupId, memberIds, comingIds = [] }) => {
    const rows = await connections.run<Row>(groupStatement, [groupId, textArray(memberIds)]);
    const { nowMs, isDisbanded, member: _, ...columns } = rows[0] as Row;
    // The columns of a group that is not there are null.
    const record = columns.seq === null ? undefined : toGroupRecord(columns);
    if (record === undefined) {
      return { nowMs, group: undefined, members: new Map(), restraints: new Map(), compared: null };
    }
    const members = new Map(
      rows.flatMap(({ member }) =>
        member === null ? [] : [[member.userId, toMemberRecord(groupId, member)] as const],
      ),
    );
    // Nobody comes to a group that was disbanded.
    const lastStays =
      isDisbanded || comingIds.length === 0
        ? []
        : await connections.run<LastStays>(lastStaysStatement, [groupId, textArray(comingIds)]);
    return {
      nowMs,
      group: { record, isDisbanded },
      members,
      restraints: restraintsOf(lastStays),
      compared: comparedFacts(record, memberIds, members, lastStays),
    };
  };
}

function restraintsOf(lastStays: readonly LastStays[]): Map<string, Restraint> {
  const found = new Map<string, Restraint>();
  for (const { userIds, body } of lastStays) {
    if (body === null) continue;
    const all = readRestraints(body);
    for (const userId of userIds) {
      const restraint = all.get(userId);
      if (restraint !== undefined) found.set(userId, restraint);
    }
  }
  return found;
}

function comparedFacts(
  group: GroupRecord,
  memberIds: readonly string[],
  members: ReadonlyMap<string, MemberRecord>,
  lastStays: readonly LastStays[],
): string {
  return JSON.stringify({
    group: { seq: group.seq, owner_id: group.ownerId, member_count: group.memberCount },
    members: [...new Set(memberIds)].map((userId) => {
      const member = members.get(userId);
      return {
        user_id: userId.toWellFormed(),
        role: member?.role,
        join_seq: member?.joinSeq,
        muted_until_ms: member?.mutedUntilMs,
      };
    }),
    last_stays: lastStays.flatMap(({ userIds, toSeq }) =>
      userIds.map((userId) => ({ user_id: userId, to_seq: toSeq })),
    ),
  });
}
