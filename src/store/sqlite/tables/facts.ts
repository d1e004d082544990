import type { DatabaseSync } from "node:sqlite";
import type { MemberRecord } from "../../../model/records.ts";
import { readRestraints } from "../../../rules/group-events.ts";
import type { FactKeys, Facts, Restraint, StoredGroup } from "../../../rules/rule.ts";
import { groupColumns, memberColumns, toGroupRecord, toMemberRecord } from "./group-rows.ts";

/** The facts of a request, and what names its conversation in the tables, if there is one. */
export interface FoundFacts extends Facts {
  key: number | undefined;
}

/** Makes the function that reads what rules decide by, inside write transactions. */
export function createFactReads(
  database: DatabaseSync,
  log: { readonly acceptTimeMs: number },
): (keys: FactKeys) => FoundFacts {
  const selectGroup = database.prepare(`
    SELECT ${groupColumns}, g.disband_time_ms IS NOT NULL AS isDisbanded FROM groups g WHERE g.group_id = ?
  `);
  const selectMember = database.prepare(
    `SELECT ${memberColumns} FROM members m WHERE m.user_id = ? AND m.conversation = ?`,
  );
  const selectLastStay = database.prepare(`
    SELECT to_seq AS seq FROM past_stays WHERE user_id = ? AND conversation = ? ORDER BY to_position DESC LIMIT 1
  `);
  const selectBody = database.prepare("SELECT body FROM events WHERE conversation = ? AND seq = ?");

  return ({ groupId, memberIds, comingIds = [] }) => {
    const row = selectGroup.get(groupId);
    const key = row === undefined ? undefined : Number(row.key);
    const group = groupOf(row);
    // Nobody is in a group that was disbanded, and nobody comes.
    const isEmpty = group?.isDisbanded !== false;
    return {
      key,
      nowMs: log.acceptTimeMs,
      group,
      members: isEmpty ? new Map() : membersOf(groupId, key as number, memberIds),
      restraints: isEmpty ? new Map() : restraintsOf(key as number, comingIds),
    };
  };

  function groupOf(row: ReturnType<typeof selectGroup.get>): StoredGroup | undefined {
    if (row === undefined) return undefined;
    const { isDisbanded, ...columns } = row;
    return { record: toGroupRecord(columns), isDisbanded: isDisbanded === 1 };
  }

  function membersOf(groupId: string, key: number, userIds: readonly string[]): Map<string, MemberRecord> {
    const found = new Map<string, MemberRecord>();
    for (const userId of userIds) {
      const row = selectMember.get(userId, key);
      if (row !== undefined) found.set(userId, toMemberRecord(groupId, row));
    }
    return found;
  }

  function restraintsOf(key: number, userIds: readonly string[]): Map<string, Restraint> {
    // One event may have ended the memberships of many.
    const bySeq = new Map<unknown, ReadonlyMap<string, Restraint>>();
    const found = new Map<string, Restraint>();
    for (const userId of userIds) {
      const seq = selectLastStay.get(userId, key)?.seq;
      if (seq === undefined) continue;
      let restraints = bySeq.get(seq);
      if (restraints === undefined) {
        restraints = readRestraints(selectBody.get(key, seq as number)?.body as Uint8Array);
        bySeq.set(seq, restraints);
      }
      const restraint = restraints.get(userId);
      if (restraint !== undefined) found.set(userId, restraint);
    }
    return found;
  }
}
