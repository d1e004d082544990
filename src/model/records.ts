/** Messages, groups, members, devices and sessions as everything above the stores knows them. */

import type { Message, UnknownField } from "@bufbuild/protobuf";
import type { Group } from "../../gen/parlance/chat/v1/group_pb.js";
import type { LogEvent } from "../../wire/log-event.ts";

/** The rights of a member. The numbers are those of the proto's `Role`. */
export const Role = { OWNER: 1, ADMIN: 2, MEMBER: 3, READER: 4 } as const;
export type Role = (typeof Role)[keyof typeof Role];

/** The ways to join a group. The numbers are those of the proto's `JoinPolicy`. */
export const JoinPolicy = { OPEN: 1, APPROVAL: 2, INVITE: 3, CLOSED: 4 } as const;
export type JoinPolicy = (typeof JoinPolicy)[keyof typeof JoinPolicy];

/** A message to append. */
export interface Draft {
  /** The conversation, made by `chat/ids.ts`. */
  conversationId: string;
  senderId: string;
  /** Set for direct conversations, which begin with their first message. */
  recipientId?: string;
  /** Set for groups: the sender has to be a member that may send. */
  groupId?: string;
  /** Empty: never a duplicate. */
  clientMessageId: string;
  /** The message it answers, by position and acceptance time. */
  replyTo?: { position: number; acceptTimeMs: number };
  body: Uint8Array;
}

/** Where an appended event stands. */
export interface Appended {
  seq: number;
  position: number;
  acceptTimeMs: number;
  /** Whether an earlier draft with the same sender and `clientMessageId` is the one that stands there. */
  duplicate: boolean;
}

/** The fields of the proto's `Group` that nobody chooses. */
type ComputedField =
  | "groupId"
  | "ownerId"
  | "memberCount"
  | "createTime"
  | "conversationId"
  | "seq"
  | "updaterId"
  | "updateTime"
  | "disbandTime";

/** A group's settings: all other fields of the proto's `Group`. */
export interface GroupSettings extends Omit<Group, ComputedField | "joinPolicy" | keyof Message> {
  joinPolicy: JoinPolicy;
}

/** A group as stored. */
export interface GroupRecord extends GroupSettings {
  groupId: string;
  ownerId: string;
  memberCount: number;
  createTimeMs: number;
  updateTimeMs: number;
  updaterId: string;
  /** The seq of the event that made the settings. */
  seq: number;
  /** Settings of later releases, in the fields of `Group` that this one does not know. */
  laterSettings?: UnknownField[];
}

/** A membership as stored. */
export interface MemberRecord {
  groupId: string;
  userId: string;
  role: Role;
  joinTimeMs: number;
  /** The seq of the event that made the user a member. Events from here on are delivered. */
  joinSeq: number;
  /** The first seq the member may read with `readSeqs`. At most `joinSeq`. */
  visibleFromSeq: number;
  /** Until when the member may not send; 0 when they may. */
  mutedUntilMs: number;
}

/** A conversation as one of its members sees it. */
export interface ConversationRecord {
  conversationId: string;
  /** The seq and position of its last event. */
  lastSeq: number;
  lastPosition: number;
  /** Up to which seq the user has read; at first, the one before they joined. */
  readSeq: number;
  /** Messages of others above `readSeq` that the user may read, counted up to 10,000. */
  unreadCount: number;
  /** The last message the user may read. */
  lastMessage: LogEvent | undefined;
}

/** A page of what a user's device has missed. */
export interface CatchUpPage {
  /** Events of the user's conversations, those they were a member of at the event's seq, by position. */
  events: LogEvent[];
  /** The positions of those of them that are not for the user, who is told no more than that they are there. */
  withheld: readonly number[];
  /** Everything of the user's up to this position is in this or an earlier page. */
  through: number;
  /** Whether more waits right after `through`. */
  more: boolean;
}

/** The groups a user is in. */
export interface MembershipsPage {
  /** The groups, each with the first seq that the user may read. */
  memberships: { groupId: string; visibleFromSeq: number }[];
  /** Up to which position of the log that is true. */
  through: number;
}

/** How much a device has missed. */
export interface Missed {
  /** The number of events, counted up to the limit asked plus one. */
  count: number;
  /** Everything up to this position is counted. */
  through: number;
}

/** A conversation of which a device has missed something. */
export interface MissedConversation {
  conversationId: string;
  /** The first and the last event above the device's position that the user was a member for. */
  firstSeq: number;
  lastSeq: number;
  /** The event that ended the user's last stay; undefined while they are in the conversation. */
  ended: LogEvent | undefined;
}

/** Some of the conversations of which a device has missed something. */
export interface MissedPage {
  conversations: MissedConversation[];
  /** Where the next page begins; undefined after the last. */
  next: number | undefined;
}

/** A device of a user. */
export interface DeviceRecord {
  userId: string;
  deviceId: string;
  /** A number of the proto's `Platform`. */
  platform: number;
  name: string;
  /** The position of its cursor; undefined when it never acknowledged anything. */
  position: number | undefined;
  /** How often it was opened with `openDevice`; after that, the highest so far. */
  opens: number;
}

/** The most a user has of what logins make; 0 for no limit. */
export interface UserCaps {
  sessions: number;
  devices: number;
}

/** A session token's record. The token itself is never stored. */
export interface SessionRecord {
  /** SHA-256 of the token. */
  tokenHash: Uint8Array;
  sessionId: string;
  userId: string;
  deviceId: string;
  platform: number;
  createTimeMs: number;
  expireTimeMs: number;
}

/** A logout, as other processes need to know of it. */
export interface LogoutRecord {
  /** 1, 2, 3, … in the order in which logouts took effect. */
  id: number;
  userId: string;
  /** The device that was logged out; undefined for all devices of the user. */
  deviceId: string | undefined;
}

/** Which events of a conversation to read. */
export interface SeqRange {
  /** Only seqs above this. */
  afterSeq: number;
  /** Only seqs below this. */
  beforeSeq: number;
  /** At most this many events. */
  limit: number;
  /** And no further one once their bodies exceed this; no bound by default. */
  maxBytes?: number;
  /** Whether to take the highest ones rather than the lowest. They come in rising order either way. */
  fromEnd: boolean;
  /** Only messages. */
  messagesOnly: boolean;
}

/** How a user stands to a conversation. */
export interface Access {
  lastSeq: number;
  readSeq: number;
  /** The first seq the user may read. */
  visibleFromSeq: number;
}
