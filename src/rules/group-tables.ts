/** What the rules of groups need of a store, inside the transaction of one change. */

import type { EventKind, LogEvent } from "../../wire/log-event.ts";
import type { GroupRecord, MemberRecord } from "../model/records.ts";

/** A group inside a change. The record is changed in place and saved at the end. */
export interface StoredGroup {
  /** Names the conversation inside the store. */
  key: number;
  record: GroupRecord;
}

/** The restrictions of a former member, which apply again when they return. */
export interface Restraint {
  /** Whether they might only read. */
  isReader: boolean;
  /** Until when they were muted, in milliseconds since 1970; 0 when they were not. */
  mutedUntilMs: number;
}

/** Reads and writes groups and their members. */
export interface GroupTables {
  /** Whether a group has or had this id. */
  isTaken(groupId: string): boolean;
  /** @throws ChatError GROUP_NOT_FOUND */
  group(groupId: string): StoredGroup;
  /** Returns the membership that stands now. */
  member(group: StoredGroup, userId: string): MemberRecord | undefined;
  /** @throws ChatError NOT_A_MEMBER or GROUP_NOT_FOUND, by what the caller may know */
  actor(group: StoredGroup, userId: string): MemberRecord;
  /** Returns the restraints of former members, as their last stays ended; those of others are left out. */
  restraints(group: StoredGroup, userIds: readonly string[]): ReadonlyMap<string, Restraint>;
  insert(group: StoredGroup): void;
  save(group: StoredGroup): void;
  insertMember(group: StoredGroup, member: MemberRecord): void;
  saveMember(group: StoredGroup, member: MemberRecord): void;
  /** Ends a membership with the event that tells of it. */
  endMembership(group: StoredGroup, member: MemberRecord, last: LogEvent): void;
  /** Ends all memberships and the group. */
  disband(group: StoredGroup, last: LogEvent): void;
}

/** An event the store makes itself. */
export interface OwnEvent {
  key: number;
  conversationId: string;
  kind: EventKind;
  senderId: string;
}

/** Appends what tells of changes of groups. */
export interface OwnLog {
  /** When what the change stores is accepted, in milliseconds since 1970. */
  readonly acceptTimeMs: number;
  /** Makes a conversation and returns its key. */
  createConversation(conversationId: string): number;
  /** Appends an event whose body tells its own seq. */
  appendOwn(event: OwnEvent, encode: (seq: number) => Uint8Array): LogEvent;
}
