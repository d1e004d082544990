import type { DatabaseSync } from "node:sqlite";
import type { LogEvent } from "../../../../wire/log-event.ts";
import type { GroupRecord } from "../../../model/records.ts";
import type { ChangedGroup, JoinedMember, Rows } from "../../../rules/rule.ts";
import { encodeOtherSettings } from "../../other-settings.ts";

/** Returns an event of a change by its number. */
type EventOf = (event: number) => LogEvent;

/** Makes the function that changes the rows a rule has decided on, once its events are in the log. */
export function createRowWrites(database: DatabaseSync) {
  const insertGroup = database.prepare(`
    INSERT INTO groups (conversation, group_id, create_time_ms, name, join_policy, history_for_new_members, muted,
      member_limit, attributes, owner_id, member_count, update_time_ms, updater_id, seq,
      other_settings)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  `);
  const updateGroup = database.prepare(`
    UPDATE groups SET name = ?, join_policy = ?, history_for_new_members = ?, muted = ?, member_limit = ?,
      attributes = ?, owner_id = ?, member_count = ?, update_time_ms = ?, updater_id = ?, seq = ?,
      other_settings = ?
    WHERE conversation = ?
  `);
  const disbandGroup = database.prepare("UPDATE groups SET disband_time_ms = ? WHERE conversation = ?");
  const insertMember = database.prepare(`
    INSERT INTO members (user_id, conversation, role, join_time_ms, join_seq, visible_from_seq, read_seq, muted_until_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  `);
  const updateMember = database.prepare(
    "UPDATE members SET role = ?, muted_until_ms = ? WHERE user_id = ? AND conversation = ?",
  );
  const insertStay = database.prepare(`
    INSERT INTO past_stays (user_id, conversation, from_seq, to_seq, to_position)
    SELECT user_id, conversation, join_seq, ?, ? FROM members WHERE user_id = ? AND conversation = ?
  `);
  const deleteMember = database.prepare("DELETE FROM members WHERE user_id = ? AND conversation = ?");
  const insertStays = database.prepare(`
    INSERT INTO past_stays (user_id, conversation, from_seq, to_seq, to_position)
    SELECT user_id, conversation, join_seq, ?, ? FROM members WHERE conversation = ?
  `);
  const deleteMembers = database.prepare("DELETE FROM members WHERE conversation = ?");

  function saveGroup(
    key: number,
    { record, settingsEvent }: ChangedGroup,
    eventOf: EventOf,
    isNew: boolean,
  ): void {
    const seq = settingsEvent === undefined ? record.seq : eventOf(settingsEvent).seq;
    const columns = changingColumns({ ...record, seq });
    if (isNew) insertGroup.run(key, record.groupId, record.createTimeMs, ...columns);
    else updateGroup.run(...columns, key);
  }

  function join(key: number, member: JoinedMember, eventOf: EventOf): void {
    const { userId, role, joinTimeMs, joinEvent, seesHistory, mutedUntilMs } = member;
    const joinSeq = eventOf(joinEvent).seq;
    const visibleFromSeq = seesHistory ? 1 : joinSeq;
    // What was said before they came counts as read, also where they may read it.
    insertMember.run(userId, key, role, joinTimeMs, joinSeq, visibleFromSeq, joinSeq - 1, mutedUntilMs);
  }

  return (key: number, rows: Rows, eventOf: EventOf, isNew: boolean): void => {
    const { group, joined = [], updated = [], ended = [], disbandedBy } = rows;
    if (group !== undefined) saveGroup(key, group, eventOf, isNew);
    for (const member of joined) join(key, member, eventOf);
    for (const { userId, role, mutedUntilMs } of updated) updateMember.run(role, mutedUntilMs, userId, key);
    for (const { userId, lastEvent } of ended) {
      const { seq, position } = eventOf(lastEvent);
      insertStay.run(seq, position, userId, key);
      deleteMember.run(userId, key);
    }
    if (disbandedBy !== undefined) {
      const { seq, position, acceptTimeMs } = eventOf(disbandedBy);
      insertStays.run(seq, position, key);
      deleteMembers.run(key);
      disbandGroup.run(acceptTimeMs, key);
    }
  };
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
    encodeOtherSettings(group),
  ];
}
