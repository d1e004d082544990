/**
 * Rules decide what a verb does to a conversation: from facts that a store has
 * read, without reading or writing anything themselves. A store reads the facts,
 * asks the rule, and carries the decision out if the facts still stand, so every
 * store decides alike.
 */

import type { EventKind } from "../../wire/log-event.ts";
import type { GroupRecord, MemberRecord } from "../model/records.ts";

/** The facts that a rule asks for. */
export interface FactKeys {
  groupId: string;
  /** The users whose memberships the rule looks at. */
  memberIds: readonly string[];
  /** The users who may become members. */
  comingIds?: readonly string[];
}

/** The facts a rule decides by. */
export interface Facts {
  /** The store's time in milliseconds since 1970, no earlier than the last event's. */
  nowMs: number;
  /** The group, also one that was disbanded; undefined when there never was one. */
  group: StoredGroup | undefined;
  /** The memberships that stand now, by user. */
  members: ReadonlyMap<string, MemberRecord>;
  /** The restraints of `comingIds` who were members before, as their last memberships ended. */
  restraints: ReadonlyMap<string, Restraint>;
}

/** A group as a rule sees it. */
export interface StoredGroup {
  record: GroupRecord;
  isDisbanded: boolean;
}

/** The restrictions of a former member, which apply again when they return. */
export interface Restraint {
  /** Whether they might only read. */
  isReader: boolean;
  /** Until when they were muted, in milliseconds since 1970; 0 when they were not. */
  mutedUntilMs: number;
}

/** A verb that changes a conversation. */
export interface Rule<Request, Answer> {
  /** Names the facts that the rule needs for a request. */
  needs(request: Request): FactKeys;
  /**
   * Decides what the request does; no events when nothing has to change.
   *
   * @throws ChatError when it is refused
   */
  decide(request: Request, facts: Facts): Decision<Answer>;
}

/** A decision of a rule. Its events are numbered from 1; these numbers stand for their seqs. */
export interface Decision<Answer> {
  conversationId: string;
  /** Appended in this order, one right after the other. */
  events: readonly EventDraft[];
  rows: Rows;
  /** Makes the answer, once it is known which seqs the events have. */
  answer(seqOf: SeqOf): Answer;
}

/** Returns the seq of an event by its number. */
export type SeqOf = (event: number) => number;

/** An event to append. */
export interface EventDraft {
  kind: EventKind;
  senderId: string;
  body: Uint8Array;
  /** The fields in which kinds 2 and 3 tell their own place; the envelope tells that of all others. */
  placeTags?: PlaceTags;
}

/** The tags of the fields that a store writes behind a body. Each takes one byte. */
export interface PlaceTags {
  /** Of a number: the event's seq. */
  seq: number;
  /** Of a `google.protobuf.Timestamp`: when the event was accepted. */
  acceptTime?: number;
}

/** The rows that a decision changes. */
export interface Rows {
  /** The group: a new row when there was none. */
  group?: ChangedGroup;
  joined?: readonly JoinedMember[];
  updated?: ReadonlyArray<Pick<MemberRecord, "userId" | "role" | "mutedUntilMs">>;
  /** The memberships that end, each with the event that is its last. */
  ended?: ReadonlyArray<{ userId: string; lastEvent: number }>;
  /** The last event of the group, with which it ends, and all memberships with it. */
  disbandedBy?: number;
}

/** A group's row as it is after the change. */
export interface ChangedGroup {
  record: GroupRecord;
  /** The event that made the settings; `record.seq` stands when not set. */
  settingsEvent?: number;
}

/** A member who is new. */
export interface JoinedMember {
  userId: string;
  role: MemberRecord["role"];
  mutedUntilMs: number;
  joinTimeMs: number;
  /** The event that made them a member. */
  joinEvent: number;
  /** Whether they may read what was said before; from `joinEvent` on when not. */
  seesHistory: boolean;
}
