import { groupConversationId } from "../../wire/ids.ts";
import { EventKind } from "../../wire/log-event.ts";
import type { GroupRecord, MemberRecord } from "../model/records.ts";
import {
  encodeGroup,
  encodeMembershipChanged,
  groupPlaceTags,
  MembershipChange,
  maxMembersPerEvent,
  membershipPlaceTags,
} from "./group-events.ts";
import type { Decision, EventDraft, JoinedMember, Rows, SeqOf } from "./rule.ts";

/** The answer to a change of a group. */
export interface GroupAnswer {
  group: GroupRecord;
  /** The members the change speaks of, as they are after it, in the order asked. For removals: as they were. */
  members: MemberRecord[];
}

/** A user who becomes a member, with their role and mute. */
export type NewMember = Pick<MemberRecord, "userId" | "role" | "mutedUntilMs">;

/** Gathers the events of a change of a group, and the rows that change with them. */
export class GroupDraft {
  readonly record: GroupRecord;
  readonly #nowMs: number;
  readonly #events: EventDraft[] = [];
  readonly #joined: JoinedMember[] = [];
  #rows: Rows = {};
  #settingsEvent: number | undefined;

  constructor(record: GroupRecord, nowMs: number) {
    this.record = { ...record };
    this.#nowMs = nowMs;
  }

  /**
   * Tells of the settings as they are now, which `actorId` made.
   *
   * @param disbandTimeMs set for the last event of the group
   * @returns the event's number
   */
  tellSettings(actorId: string, disbandTimeMs?: number): number {
    this.record.updaterId = actorId;
    this.record.updateTimeMs = this.#nowMs;
    const body = encodeGroup({ ...this.record, seq: 0 }, disbandTimeMs);
    this.#settingsEvent = this.#events.push({
      kind: EventKind.GROUP,
      senderId: actorId,
      body,
      placeTags: groupPlaceTags,
    });
    return this.#settingsEvent;
  }

  /** Ends the group. */
  disband(actorId: string): void {
    this.record.memberCount = 0;
    this.#rows = { ...this.#rows, disbandedBy: this.tellSettings(actorId, this.#nowMs) };
  }

  /**
   * Makes users members.
   *
   * @param joinEvent of all of them; when left out each joins with the event that tells of it
   */
  add(change: MembershipChange, actorId: string, users: readonly NewMember[], joinEvent?: number): void {
    const { groupId, historyForNewMembers: seesHistory } = this.record;
    const joinTimeMs = this.#nowMs;
    for (const chunk of chunks(users)) {
      this.record.memberCount += chunk.length;
      // Who joins with the first event of all may read from seq 1 on; all others from a seq that is not known yet.
      const visibleFromSeq = seesHistory || joinEvent === 1 ? 1 : 0;
      const members = chunk.map((user) => ({ groupId, ...user, joinTimeMs, joinSeq: 0, visibleFromSeq }));
      const event = this.#tellMembers(change, actorId, members);
      for (const user of chunk)
        this.#joined.push({ ...user, joinTimeMs, seesHistory, joinEvent: joinEvent ?? event });
    }
  }

  /** Ends memberships. */
  remove(change: MembershipChange, actorId: string, members: readonly MemberRecord[]): void {
    const ended = chunks(members).flatMap((chunk) => {
      this.record.memberCount -= chunk.length;
      const lastEvent = this.#tellMembers(change, actorId, chunk);
      return chunk.map(({ userId }) => ({ userId, lastEvent }));
    });
    this.#rows = { ...this.#rows, ended };
  }

  /** Changes memberships that stand. */
  update(actorId: string, members: readonly MemberRecord[]): void {
    this.#tellMembers(MembershipChange.UPDATED, actorId, members);
    this.#rows = { ...this.#rows, updated: members };
  }

  /**
   * Returns the decision.
   *
   * @param userIds the members that the answer is about, in its order
   * @param known those of them who are not new
   */
  decision(
    userIds: readonly string[] = [],
    known: ReadonlyMap<string, MemberRecord> = new Map(),
  ): Decision<GroupAnswer> {
    const record = this.record;
    const settingsEvent = this.#settingsEvent;
    const group = { record, ...(settingsEvent !== undefined && { settingsEvent }) };
    return {
      conversationId: groupConversationId(record.groupId),
      events: this.#events,
      rows: { ...this.#rows, group, joined: this.#joined },
      answer: (seqOf) => {
        const joined = new Map(
          this.#joined.map((member) => [member.userId, asRecord(record.groupId, member, seqOf)]),
        );
        const members = userIds.map((userId) => joined.get(userId) ?? known.get(userId));
        return {
          group: { ...record, seq: settingsEvent === undefined ? record.seq : seqOf(settingsEvent) },
          members: members.filter((member) => member !== undefined),
        };
      },
    };
  }

  /** @returns the event's number */
  #tellMembers(change: MembershipChange, actorId: string, members: readonly MemberRecord[]): number {
    const { groupId, memberCount } = this.record;
    const body = encodeMembershipChanged({ groupId, change, actorId, members, memberCount });
    return this.#events.push({
      kind: EventKind.MEMBERSHIP,
      senderId: actorId,
      body,
      placeTags: membershipPlaceTags,
    });
  }
}

/** The decision that nothing has to change. */
export function unchanged(group: GroupRecord, members: MemberRecord[] = []): Decision<GroupAnswer> {
  return {
    conversationId: groupConversationId(group.groupId),
    events: [],
    rows: {},
    answer: () => ({ group, members }),
  };
}

function asRecord(groupId: string, member: JoinedMember, seqOf: SeqOf): MemberRecord {
  const { joinEvent, seesHistory, ...rest } = member;
  const joinSeq = seqOf(joinEvent);
  return { groupId, ...rest, joinSeq, visibleFromSeq: seesHistory ? 1 : joinSeq };
}

function chunks<T>(items: readonly T[]): T[][] {
  const result: T[][] = [];
  for (let n = 0; n < items.length; n += maxMembersPerEvent)
    result.push(items.slice(n, n + maxMembersPerEvent));
  return result;
}
