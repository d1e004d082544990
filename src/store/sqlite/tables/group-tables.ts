import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { LogEvent } from "../../../../wire/log-event.ts";
import type { GroupRecord, MemberRecord } from "../../../model/records.ts";
import { readRestraints } from "../../../rules/group-events.ts";
import { groupNotFound, notAMember } from "../../../rules/group-refusals.ts";
import type { GroupTables, Restraint, StoredGroup } from "../../../rules/group-tables.ts";
import { groupColumns, memberColumns, toGroupRecord, toMemberRecord } from "./group-rows.ts";

/** Reads and writes the tables of groups and members inside write transactions. */
export class SqliteGroupTables implements GroupTables {
  readonly #selectGroup: StatementSync;
  readonly #selectTaken: StatementSync;
  readonly #selectMember: StatementSync;
  readonly #selectLastStay: StatementSync;
  readonly #selectBody: StatementSync;
  readonly #insertGroup: StatementSync;
  readonly #updateGroup: StatementSync;
  readonly #disband: StatementSync;
  readonly #insertMember: StatementSync;
  readonly #updateMember: StatementSync;
  readonly #deleteMember: StatementSync;
  readonly #insertStay: StatementSync;
  readonly #insertStays: StatementSync;
  readonly #deleteMembers: StatementSync;

  constructor(database: DatabaseSync) {
    this.#selectGroup = database.prepare(
      `SELECT ${groupColumns} FROM groups g WHERE g.group_id = ? AND g.disband_time_ms IS NULL`,
    );
    this.#selectTaken = database.prepare("SELECT 1 FROM groups WHERE group_id = ?");
    this.#selectMember = database.prepare(
      `SELECT ${memberColumns} FROM members m WHERE m.user_id = ? AND m.conversation = ?`,
    );
    this.#selectLastStay = database.prepare(`
      SELECT to_seq AS seq FROM past_stays WHERE user_id = ? AND conversation = ? ORDER BY to_position DESC LIMIT 1
    `);
    this.#selectBody = database.prepare("SELECT body FROM events WHERE conversation = ? AND seq = ?");
    this.#insertGroup = database.prepare(`
      INSERT INTO groups (conversation, group_id, create_time_ms, name, join_policy, history_for_new_members, muted,
        member_limit, attributes, owner_id, member_count, update_time_ms, updater_id, seq)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    `);
    this.#updateGroup = database.prepare(`
      UPDATE groups SET name = ?, join_policy = ?, history_for_new_members = ?, muted = ?, member_limit = ?,
        attributes = ?, owner_id = ?, member_count = ?, update_time_ms = ?, updater_id = ?, seq = ?
      WHERE conversation = ?
    `);
    this.#disband = database.prepare("UPDATE groups SET disband_time_ms = ? WHERE conversation = ?");
    this.#insertMember = database.prepare(`
      INSERT INTO members (user_id, conversation, role, join_time_ms, join_seq, visible_from_seq, read_seq, muted_until_ms)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    `);
    this.#updateMember = database.prepare(
      "UPDATE members SET role = ?, muted_until_ms = ? WHERE user_id = ? AND conversation = ?",
    );
    this.#deleteMember = database.prepare("DELETE FROM members WHERE user_id = ? AND conversation = ?");
    this.#insertStay = database.prepare(
      "INSERT INTO past_stays (user_id, conversation, from_seq, to_seq, to_position) VALUES (?, ?, ?, ?, ?)",
    );
    this.#insertStays = database.prepare(`
      INSERT INTO past_stays (user_id, conversation, from_seq, to_seq, to_position)
      SELECT user_id, conversation, join_seq, ?, ? FROM members WHERE conversation = ?
    `);
    this.#deleteMembers = database.prepare("DELETE FROM members WHERE conversation = ?");
  }

  /** Whether a group has or had this id. */
  isTaken(groupId: string): boolean {
    return this.#selectTaken.get(groupId) !== undefined;
  }

  /** @throws ChatError GROUP_NOT_FOUND */
  group(groupId: string): StoredGroup {
    const row = this.#selectGroup.get(groupId);
    if (row === undefined) throw groupNotFound(groupId);
    return { key: Number(row.key), record: toGroupRecord(row) };
  }

  /** Returns the membership that stands now. */
  member(group: StoredGroup, userId: string): MemberRecord | undefined {
    const row = this.#selectMember.get(userId, group.key);
    return row === undefined ? undefined : toMemberRecord(group.record.groupId, row);
  }

  /** @throws ChatError NOT_A_MEMBER or GROUP_NOT_FOUND, by what the caller may know */
  actor(group: StoredGroup, userId: string): MemberRecord {
    const member = this.member(group, userId);
    if (member === undefined) throw notAMember(group.record.groupId, group.record.joinPolicy);
    return member;
  }

  /** Returns the restraints of former members, as their last stays ended. */
  restraints({ key }: StoredGroup, userIds: readonly string[]): ReadonlyMap<string, Restraint> {
    // One event may have ended the stays of many.
    const endings = new Map<unknown, ReadonlyMap<string, Restraint>>();
    const found = new Map<string, Restraint>();
    for (const userId of userIds) {
      const seq = this.#selectLastStay.get(userId, key)?.seq;
      if (seq === undefined) continue;
      let ending = endings.get(seq);
      if (ending === undefined) {
        ending = readRestraints(this.#selectBody.get(key, seq as number)?.body as Uint8Array);
        endings.set(seq, ending);
      }
      const restraint = ending.get(userId);
      if (restraint !== undefined) found.set(userId, restraint);
    }
    return found;
  }

  insert(group: StoredGroup): void {
    const { groupId, createTimeMs } = group.record;
    this.#insertGroup.run(group.key, groupId, createTimeMs, ...changingColumns(group.record));
  }

  save(group: StoredGroup): void {
    this.#updateGroup.run(...changingColumns(group.record), group.key);
  }

  insertMember(group: StoredGroup, member: MemberRecord): void {
    const { userId, role, joinTimeMs, joinSeq, visibleFromSeq, mutedUntilMs } = member;
    // What was said before they came counts as read, also where they may read it.
    const readSeq = joinSeq - 1;
    this.#insertMember.run(
      userId,
      group.key,
      role,
      joinTimeMs,
      joinSeq,
      visibleFromSeq,
      readSeq,
      mutedUntilMs,
    );
  }

  saveMember(group: StoredGroup, member: MemberRecord): void {
    this.#updateMember.run(member.role, member.mutedUntilMs, member.userId, group.key);
  }

  /** Ends a membership with the event that tells of it. */
  endMembership(group: StoredGroup, member: MemberRecord, last: LogEvent): void {
    this.#deleteMember.run(member.userId, group.key);
    this.#insertStay.run(member.userId, group.key, member.joinSeq, last.seq, last.position);
  }

  /** Ends all memberships and the group. */
  disband(group: StoredGroup, last: LogEvent): void {
    this.#insertStays.run(last.seq, last.position, group.key);
    this.#deleteMembers.run(group.key);
    this.#disband.run(last.acceptTimeMs, group.key);
  }
}

function changingColumns(group: GroupRecord) {
  return [
    group.name,
    group.joinPolicy,
    Number(group.historyForNewMembers),
    Number(group.muted),
    group.memberLimit,
    JSON.stringify(group.attributes),
    group.ownerId,
    group.memberCount,
    group.updateTimeMs,
    group.updaterId,
    group.seq,
  ];
}
