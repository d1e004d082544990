import type { EventKind, LogEvent } from "../../../../wire/log-event.ts";
import type { GroupChange, GroupRecord, MemberRecord } from "../../../model/records.ts";
import { groupNotFound, notAMember } from "../../../rules/group-refusals.ts";
import type { GroupTables, OwnEvent, OwnLog, Restraint, StoredGroup } from "../../../rules/group-tables.ts";
import { fill, StandIns, type Template } from "./templates.ts";

/** A group as it was read, with those of the members that the change speaks of. */
export interface LoadedGroup {
  record: GroupRecord;
  isDisbanded: boolean;
  /** The seq of the last event that is no message. */
  changeSeq: number;
  members: ReadonlyMap<string, MemberRecord>;
  restraints: ReadonlyMap<string, Restraint>;
}

interface DraftedEvent extends OwnEvent {
  template: Template;
}

/** Where the database put the events of a change. */
export interface Placed {
  basePosition: number;
  baseSeq: number;
  timeMs: number;
}

/**
 * Works out a change of a group from what was read before, without the
 * database: lets the rules of groups decide and notes what they do. Seqs and
 * times are stand-ins until the database has placed the events.
 */
export class GroupDraft implements GroupTables, OwnLog {
  readonly standIns = new StandIns();
  readonly acceptTimeMs = this.standIns.timeMs;
  readonly events: DraftedEvent[] = [];
  readonly joined: MemberRecord[] = [];
  readonly updated: MemberRecord[] = [];
  readonly ended: Array<{ userId: string; event: number }> = [];
  /** The group to be saved. */
  saved: GroupRecord | undefined;
  isDisbanding = false;
  readonly #loaded: LoadedGroup | undefined;

  constructor(loaded: LoadedGroup | undefined) {
    this.#loaded = loaded;
  }

  isTaken(): boolean {
    return this.#loaded !== undefined;
  }

  group(groupId: string): StoredGroup {
    if (this.#loaded === undefined || this.#loaded.isDisbanded) throw groupNotFound(groupId);
    return { key: 0, record: { ...this.#loaded.record } };
  }

  member(_group: StoredGroup, userId: string): MemberRecord | undefined {
    return this.#loaded?.members.get(userId);
  }

  actor(group: StoredGroup, userId: string): MemberRecord {
    const member = this.member(group, userId);
    if (member === undefined) throw notAMember(group.record.groupId, group.record.joinPolicy);
    return member;
  }

  restraints(): ReadonlyMap<string, Restraint> {
    return this.#loaded?.restraints ?? new Map();
  }

  /** A new group is saved as it is in the end, like one that changed. */
  insert(group: StoredGroup): void {
    this.saved = group.record;
  }

  save(group: StoredGroup): void {
    this.saved = group.record;
  }

  insertMember(_group: StoredGroup, member: MemberRecord): void {
    this.joined.push(member);
  }

  saveMember(_group: StoredGroup, member: MemberRecord): void {
    this.updated.push(member);
  }

  endMembership(_group: StoredGroup, member: MemberRecord, last: LogEvent): void {
    this.ended.push({ userId: member.userId, event: this.standIns.eventOf(last.seq) });
  }

  disband(): void {
    this.isDisbanding = true;
  }

  createConversation(): number {
    return 0;
  }

  appendOwn(event: OwnEvent, encode: (seq: number) => Uint8Array): LogEvent {
    const number = this.events.length + 1;
    const seq = this.standIns.seqOf(number);
    const body = encode(seq);
    this.events.push({ ...event, template: this.standIns.cut(body) });
    const { conversationId, kind, senderId } = event;
    // The position stands for the event as well, until `complete`.
    return { position: number, conversationId, seq, kind, senderId, acceptTimeMs: this.acceptTimeMs, body };
  }

  /** Puts real seqs, positions and times in the place of stand-ins. */
  complete(change: GroupChange, { basePosition, baseSeq, timeMs }: Placed): GroupChange {
    const seqOf = (seq: number) => {
      const event = this.standIns.eventOf(seq);
      return event === 0 ? seq : baseSeq + event;
    };
    const timeOf = (ms: number) => (ms === this.acceptTimeMs ? timeMs : ms);
    return {
      group: {
        ...change.group,
        createTimeMs: timeOf(change.group.createTimeMs),
        updateTimeMs: timeOf(change.group.updateTimeMs),
        seq: seqOf(change.group.seq),
      },
      members: change.members.map((member) => ({
        ...member,
        joinTimeMs: timeOf(member.joinTimeMs),
        joinSeq: seqOf(member.joinSeq),
        visibleFromSeq: seqOf(member.visibleFromSeq),
      })),
      events: this.events.map(({ conversationId, kind, senderId, template }, n) => ({
        position: basePosition + n + 1,
        conversationId,
        seq: baseSeq + n + 1,
        kind: kind satisfies EventKind,
        senderId,
        acceptTimeMs: timeMs,
        body: fill(template, timeMs, baseSeq),
      })),
    };
  }
}
