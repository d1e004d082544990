import { groupConversationId } from "../../wire/ids.ts";
import { EventKind, type LogEvent } from "../../wire/log-event.ts";
import type { MemberRecord } from "../model/records.ts";
import {
  encodeGroup,
  encodeMembershipChanged,
  MembershipChange,
  maxMembersPerEvent,
} from "./group-events.ts";
import type { GroupTables, OwnLog, StoredGroup } from "./group-tables.ts";

/** A user who becomes a member, with their role and mute. */
export type NewMember = Pick<MemberRecord, "userId" | "role" | "mutedUntilMs">;

/** Changes members together with the events that tell of it; the group itself is left to be saved. */
export class GroupLog {
  readonly #tables: GroupTables;
  readonly #log: OwnLog;

  constructor(tables: GroupTables, log: OwnLog) {
    this.#tables = tables;
    this.#log = log;
  }

  /** Appends the settings as they are now, which `actorId` made. */
  appendSettings(group: StoredGroup, actorId: string): LogEvent {
    return this.#append(group, EventKind.GROUP, actorId, (seq) => {
      group.record.seq = seq;
      group.record.updaterId = actorId;
      group.record.updateTimeMs = this.#log.acceptTimeMs;
      return encodeGroup(group.record);
    });
  }

  /** Appends the event that ends the group. */
  appendDisbanded(group: StoredGroup, actorId: string): LogEvent {
    return this.#append(group, EventKind.GROUP, actorId, (seq) => {
      const timeMs = this.#log.acceptTimeMs;
      Object.assign(group.record, { seq, updaterId: actorId, updateTimeMs: timeMs, memberCount: 0 });
      return encodeGroup(group.record, timeMs);
    });
  }

  /**
   * Makes users members.
   *
   * @param joinSeq of all of them; when left out each joins with the event that tells of it
   */
  add(
    group: StoredGroup,
    change: MembershipChange,
    actorId: string,
    users: readonly NewMember[],
    joinSeq?: number,
  ): { members: MemberRecord[]; events: LogEvent[] } {
    const { groupId, historyForNewMembers } = group.record;
    const all: MemberRecord[] = [];
    const events = chunks(users).map((chunk) => {
      let members: MemberRecord[] = [];
      const event = this.#append(group, EventKind.MEMBERSHIP, actorId, (seq) => {
        members = chunk.map((user) => ({
          groupId,
          ...user,
          joinTimeMs: this.#log.acceptTimeMs,
          joinSeq: joinSeq ?? seq,
          visibleFromSeq: historyForNewMembers ? 1 : (joinSeq ?? seq),
        }));
        return this.#encode(group, seq, change, actorId, members, all.length + members.length);
      });
      for (const member of members) this.#tables.insertMember(group, member);
      all.push(...members);
      return event;
    });
    group.record.memberCount += all.length;
    return { members: all, events };
  }

  /** Ends memberships. */
  remove(
    group: StoredGroup,
    change: MembershipChange,
    actorId: string,
    members: readonly MemberRecord[],
  ): LogEvent[] {
    let gone = 0;
    const events = chunks(members).map((chunk) => {
      gone += chunk.length;
      const event = this.#append(group, EventKind.MEMBERSHIP, actorId, (seq) =>
        this.#encode(group, seq, change, actorId, chunk, -gone),
      );
      for (const member of chunk) this.#tables.endMembership(group, member, event);
      return event;
    });
    group.record.memberCount -= gone;
    return events;
  }

  /** Changes memberships that stand. */
  update(group: StoredGroup, actorId: string, members: readonly MemberRecord[]): LogEvent {
    for (const member of members) this.#tables.saveMember(group, member);
    return this.#append(group, EventKind.MEMBERSHIP, actorId, (seq) =>
      this.#encode(group, seq, MembershipChange.UPDATED, actorId, members, 0),
    );
  }

  #append(
    group: StoredGroup,
    kind: EventKind,
    senderId: string,
    encode: (seq: number) => Uint8Array,
  ): LogEvent {
    const conversationId = groupConversationId(group.record.groupId);
    return this.#log.appendOwn({ key: group.key, conversationId, kind, senderId }, encode);
  }

  #encode(
    group: StoredGroup,
    seq: number,
    change: MembershipChange,
    actorId: string,
    members: readonly MemberRecord[],
    countChange: number,
  ): Uint8Array {
    const { groupId, memberCount } = group.record;
    const acceptTimeMs = this.#log.acceptTimeMs;
    return encodeMembershipChanged({
      groupId,
      seq,
      change,
      actorId,
      members,
      acceptTimeMs,
      memberCount: memberCount + countChange,
    });
  }
}

function chunks<T>(items: readonly T[]): T[][] {
  const result: T[][] = [];
  for (let n = 0; n < items.length; n += maxMembersPerEvent)
    result.push(items.slice(n, n + maxMembersPerEvent));
  return result;
}
