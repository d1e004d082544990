/**
 * The store keeps everything that outlives a process: the logs, groups and
 * their members, devices and their cursors, sessions.
 *
 * Rules every implementation keeps, tested by `test/contracts/store.ts`:
 *
 * - A promise of a method that writes resolves once the write is on stable
 *   storage. Writes of one caller, issued one after another without waiting,
 *   take effect in that order.
 * - Per conversation, `seq` is 1, 2, 3, … without gaps. Over the whole log,
 *   `position` is 1, 2, 3, … without gaps too; within one conversation both
 *   orders agree.
 * - Events become visible in the order of position, whoever appends them: who
 *   sees one sees all below it, so a cursor never steps over an event that
 *   comes later.
 * - What a write depends on (membership, role, mute, heads) is read in the
 *   same transaction, so no answer rests on a state that was already gone.
 * - A write that is refused rejects with a `ChatError` and changes nothing;
 *   STORAGE_FULL is such a refusal too. After any other rejection, and after
 *   STORE_UNAVAILABLE, the outcome is unknown.
 *
 * Several processes may share one store where the implementation says so. What
 * one of them wrote the others find in `readTail` and `readLogouts`.
 */

import type { LogEvent } from "../../wire/log-event.ts";
import type { ChatError } from "../model/errors.ts";
import type {
  Access,
  Appended,
  CatchUpPage,
  ConversationRecord,
  DeviceRecord,
  Draft,
  GroupChange,
  GroupRecord,
  GroupSettings,
  LogoutRecord,
  MemberRecord,
  Missed,
  MissedPage,
  Role,
  SeqRange,
  SessionRecord,
  StaysPage,
  UserCaps,
} from "../model/records.ts";

/**
 * Why a process cannot go on with a store.
 *
 * - `replaced`: the store is another than the one that was opened. Its log was
 *   put back to an earlier state, as by the failover to a replica that lacked
 *   the last commits, so whatever the process knows of it may be wrong. It has
 *   to start anew.
 * - `outdated`: a later release writes events that this one would show to the
 *   wrong people.
 */
export type StoreEnding = "replaced" | "outdated";

/** Keeps everything that outlives a process. */
export interface Store {
  /** Names this incarnation of the store; see `Cursor.epoch`. */
  readonly epoch: string;
  /** A random 32-bit number made with the store and kept for ever; part of message ids. */
  readonly salt: number;

  // Logs

  /**
   * Registers what to call with the events this process appends: each once, in
   * the order of position, after it is on stable storage and before the promise
   * of the write resolves. Events that were committed together come together,
   * and their positions follow each other without gaps. Must not throw.
   *
   * @returns what ends it
   */
  onAppended(listener: (events: readonly LogEvent[]) => void): () => void;
  /**
   * Appends a message as its conversation's next event.
   *
   * @throws ChatError CLIENT_MESSAGE_ID_REUSED when the sender used the id for another conversation or body
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_MUTED, GROUP_MUTED for groups
   * @throws ChatError REPLY_TARGET_NOT_FOUND when `replyTo` is no message of the conversation that the sender may read
   */
  append(draft: Draft): Promise<Appended>;
  /** Returns the message that a sender appended with a client message id, if there is one. */
  findMessage(senderId: string, clientMessageId: string): Promise<LogEvent | undefined>;
  /** Returns the event at a position, if there is one. */
  readPosition(position: number): Promise<LogEvent | undefined>;
  /** Returns events of a conversation in the order of seq, whoever may read them. */
  readSeqs(conversationId: string, range: SeqRange): Promise<LogEvent[]>;
  /** Returns the first seq of a conversation accepted at or after a time, or its last seq plus one. */
  seqAtTime(conversationId: string, timeMs: number): Promise<number>;
  /** Returns events of the whole log above a position, by position: what a node may have missed. */
  readTail(afterPosition: number, limit: number): Promise<LogEvent[]>;
  /** Returns the position of the last event, 0 for an empty log. */
  lastPosition(): Promise<number>;

  // Catching up

  /**
   * Returns the next page of a user's events above a position: at most `limit`
   * events, and no further one once their bodies exceed `maxBytes`.
   */
  readMissed(userId: string, afterPosition: number, limit: number, maxBytes: number): Promise<CatchUpPage>;
  /** Counts a user's events above a position, up to `limit` plus one. */
  countMissed(userId: string, afterPosition: number, limit: number): Promise<Missed>;
  /**
   * Lists the conversations in which a user has events above a position, in an
   * order that stays the same: at most `limit` of them, and no further one once
   * the bodies of `ended` exceed `maxBytes`. What happens between two pages may
   * show in the later one.
   *
   * @param from 0, or `next` of the page before
   */
  listMissed(
    userId: string,
    afterPosition: number,
    from: number,
    limit: number,
    maxBytes: number,
  ): Promise<MissedPage>;
  /**
   * Returns the position before the first message of others that the user has
   * not read and that came since they joined, or the last position when there
   * is none. It may be lower, never higher.
   */
  firstUnreadPosition(userId: string): Promise<number>;

  // Conversations

  /** Returns how a user stands to a conversation, or undefined when they are not in it now. */
  access(userId: string, conversationId: string): Promise<Access | undefined>;
  /**
   * Lists a user's conversations by falling `lastPosition`, those below
   * `beforePosition`; with `unreadOnly` only those with unread messages. At
   * most `limit`, and no further one once the bodies of their last messages
   * exceed `maxBytes`, which is no bound by default.
   */
  listConversations(
    userId: string,
    beforePosition: number,
    unreadOnly: boolean,
    limit: number,
    maxBytes?: number,
  ): Promise<ConversationRecord[]>;
  /** Returns one conversation of a user, or undefined when they are not in it. */
  getConversation(userId: string, conversationId: string): Promise<ConversationRecord | undefined>;
  /**
   * Returns those of some users who are in a conversation with a user now, in
   * any order: in a group, or in a direct one that has begun.
   */
  inConversationWith(userId: string, userIds: readonly string[]): Promise<string[]>;
  /**
   * Raises how far a user has read; a lower seq changes nothing.
   *
   * @returns whether it rose
   * @throws ChatError CONVERSATION_NOT_FOUND, SEQ_IN_FUTURE
   */
  markRead(userId: string, conversationId: string, upToSeq: number): Promise<boolean>;

  // Groups: every method that changes one returns the events it appended

  /**
   * Creates a group with two events: its settings, then its members. The id of
   * a group that was disbanded stays taken.
   *
   * @throws ChatError GROUP_ID_TAKEN, GROUP_FULL
   */
  createGroup(
    groupId: string,
    ownerId: string,
    settings: GroupSettings,
    memberIds: readonly string[],
  ): Promise<GroupChange>;
  /** Returns a group that was not disbanded. */
  getGroup(groupId: string): Promise<GroupRecord | undefined>;
  /** Returns a membership that stands now. */
  getMember(groupId: string, userId: string): Promise<MemberRecord | undefined>;
  /**
   * Changes settings.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_LIMIT_TOO_LOW
   */
  updateGroup(groupId: string, actorId: string, settings: Partial<GroupSettings>): Promise<GroupChange>;
  /**
   * Ends a group: its last event goes to all members, who are members no more.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW
   */
  disbandGroup(groupId: string, actorId: string): Promise<GroupChange>;
  /**
   * Makes a user a member by their own wish; a reader or muted, if they were so
   * when they last left.
   *
   * @throws ChatError GROUP_NOT_FOUND, ALREADY_A_MEMBER, GROUP_FULL
   */
  joinGroup(groupId: string, userId: string): Promise<GroupChange>;
  /**
   * Ends a membership by the member's own wish.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, OWNER_CANNOT_LEAVE
   */
  leaveGroup(groupId: string, userId: string): Promise<GroupChange>;
  /**
   * Makes users members; those who are already stay as they are. Who was muted
   * when they last left is muted again, and a reader a reader unless named ADMIN.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, JOIN_NOT_ALLOWED, ROLE_TOO_LOW, MEMBER_MUTED, GROUP_MUTED,
   *   GROUP_FULL
   */
  addMembers(groupId: string, actorId: string, userIds: readonly string[], role: Role): Promise<GroupChange>;
  /**
   * Ends memberships, all or none.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_NOT_FOUND
   */
  removeMembers(groupId: string, actorId: string, userIds: readonly string[]): Promise<GroupChange>;
  /**
   * Changes a member's role or mute.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_NOT_FOUND
   */
  updateMember(
    groupId: string,
    actorId: string,
    userId: string,
    change: { role?: Role; mutedUntilMs?: number },
  ): Promise<GroupChange>;
  /**
   * Makes another member the owner; the former owner becomes an admin.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_NOT_FOUND
   */
  transferOwnership(groupId: string, actorId: string, newOwnerId: string): Promise<GroupChange>;
  /** Lists members whose user id is above `afterUserId`, by the bytes of the id. */
  listMembers(groupId: string, afterUserId: string, limit: number): Promise<MemberRecord[]>;
  /**
   * Lists a user's groups whose id is above `afterGroupId`, by the bytes of the
   * id: at most `limit`, and no further one once their attributes exceed about
   * `maxBytes`, which is no bound by default.
   */
  listGroups(userId: string, afterGroupId: string, limit: number, maxBytes?: number): Promise<GroupRecord[]>;
  /** Counts the groups that users are in and own; those in none are left out. */
  countGroups(userIds: readonly string[]): Promise<Map<string, { joined: number; owned: number }>>;
  /** Lists all groups a user is in, and tells the position up to which that is true. */
  listStays(userId: string): Promise<StaysPage>;

  // Devices, sessions, users

  /**
   * Returns a device, made if need be; platform and name are kept when given.
   *
   * @param maxDevices the most a user has, 0 for no limit: a new one beyond takes the place of the one not used for
   *   longest, which is the one whose cursor is lowest, if it has any
   */
  openDevice(
    userId: string,
    deviceId: string,
    platform: number,
    name: string,
    maxDevices?: number,
  ): Promise<DeviceRecord>;
  /** Raises the cursors of devices, made if need be; a lower position changes nothing. */
  saveCursors(entries: ReadonlyArray<{ userId: string; deviceId: string; position: number }>): Promise<void>;
  /**
   * Keeps a session token, and drops those of the user that expired over a day ago.
   *
   * @param most what a user has at most, each 0 for no limit: of sessions those made first are dropped, of devices as by
   *   `openDevice`
   */
  createSession(session: SessionRecord, deviceName: string, most?: UserCaps): Promise<void>;
  /** Returns the session of a token, also an expired one; undefined when unknown or logged out. */
  findSession(tokenHash: Uint8Array): Promise<SessionRecord | undefined>;
  /**
   * Ends the sessions of a device, or of all devices of a user, and has host
   * tokens issued before now refused for them.
   *
   * @returns the id of this logout; see `readLogouts`
   */
  deleteSessions(userId: string, deviceId: string | undefined): Promise<number>;
  /**
   * Returns the logouts above an id, by whichever process, in the order of
   * their ids: what `deleteSessions` was called with. They may be forgotten an
   * hour after they happened.
   */
  readLogouts(afterId: number, limit: number): Promise<LogoutRecord[]>;
  /** Returns the id of the last logout, 0 when there was none. */
  lastLogoutId(): Promise<number>;
  /** Returns the time before which host tokens of a user and device are refused, 0 for none. */
  tokensRefusedBeforeMs(userId: string, deviceId: string): Promise<number>;
  /** Notes when users were last active. */
  setLastActive(entries: ReadonlyArray<{ userId: string; timeMs: number }>): Promise<void>;
  /** Returns when users were last active; those never seen are left out. */
  getLastActive(userIds: readonly string[]): Promise<Map<string, number>>;
  /**
   * Adds to how many bytes of messages users have stored, which `append` does
   * not count itself. A user may be named more than once, and with 0 bytes.
   *
   * @returns what each has then
   */
  addStoredBytes(entries: ReadonlyArray<{ userId: string; bytes: number }>): Promise<Map<string, number>>;

  // Its own state

  /**
   * Registers what to call when writes failed because the store cannot write,
   * as on a full disk, rather than because they were refused: once for those
   * that failed together. Must not throw.
   *
   * @returns what ends it
   */
  onWriteFailed(listener: (error: ChatError) => void): () => void;
  /**
   * Registers what to call, once, when this process cannot go on with the store;
   * everything asked of it fails then. Must not throw.
   *
   * @returns what ends it
   */
  onEnding(listener: (ending: StoreEnding) => void): () => void;
  /**
   * Tries whether the store can write: puts something of the size of a large
   * message on stable storage and takes it away again.
   *
   * @throws ChatError STORAGE_FULL, STORE_UNAVAILABLE when it cannot
   */
  probe(): Promise<void>;
  /** Waits for what is under way and closes. Later calls reject. */
  close(): Promise<void>;
}
