/**
 * The bus carries messages between nodes, at most once and in no promised
 * order. A message that is lost, late or doubled costs latency, never an event:
 * `chat/tail.ts` finds by position what is missing and reads the store. One that
 * is wrong, or of another epoch of the store, reaches nobody.
 *
 * Messages are objects, not bytes, so that within one process nothing is
 * encoded for nobody; an implementation that crosses processes encodes them.
 *
 * Rules every implementation keeps, tested by `test/contracts/bus.ts`:
 *
 * - A message reaches the handlers of its subject in this process before
 *   `publish` returns, as the same object, and each handler once.
 * - It reaches handlers in other processes that are connected; from one process,
 *   on subjects another listens to for a while, in the order of publishing.
 * - Ids in subjects may have any characters; the implementation encodes them.
 */

import { parseConversationId } from "../../wire/ids.ts";
import type { Audience } from "../../wire/log-event.ts";

/** An event of a log, ready to be sent to sessions. */
export interface LogMessage {
  type: "log";
  conversationId: string;
  seq: number;
  position: number;
  /** The number of its kind in the proto's `EventKind`, by which sessions choose events; also of one unknown here. */
  kind: number;
  /** An encoded `StreamResponse` with the one event. */
  frame: Uint8Array;
  /** Its audience, where that is not everybody who gets the conversation. */
  limited?: LimitedLogMessage;
}

/** The extra fields of an event that is not for everybody. */
export interface LimitedLogMessage {
  audience: Audience;
  /** The frame that all others get. */
  withheldFrame: Uint8Array;
}

/**
 * Tells every node which events a commit added, after the events themselves
 * were published: so a node knows of each position whether it concerns it, and
 * whether it lacks the event.
 */
export interface NoticeMessage {
  type: "notice";
  /** The position of the first event; the others follow without gaps. */
  firstPosition: number;
  /** For each event the subjects it was published on; empty when there were too many to name. */
  subjects: readonly (readonly string[])[];
}

/** The kinds of ephemeral events. The numbers are those of the proto's `EventKind`. */
export const EphemeralKind = { RECEIPT: 4, TYPING: 5, PRESENCE: 6 } as const;
export type EphemeralKind = (typeof EphemeralKind)[keyof typeof EphemeralKind];

/** An event that nothing keeps. */
export interface EphemeralMessage {
  type: "ephemeral";
  kind: EphemeralKind;
  /** The subject, of a user or a group, on which it is published: the sessions that listen to it get it. */
  subject: string;
  /** A user whose sessions do not get it. */
  exceptUserId?: string;
  /** An encoded `StreamResponse` with the one event. */
  frame: Uint8Array;
}

/** Tells who watches a user whether the user is connected to one node. */
export interface PresenceMessage {
  type: "presence";
  userId: string;
  /** The node it speaks of, by `NodeStatus.instanceId`. */
  instanceId: string;
  /** The platforms of the user's sessions there, numbers of the proto's `Platform`; none when there are no sessions. */
  platforms: readonly number[];
  /** When the user was last active there, in milliseconds since 1970. */
  lastActiveMs: number;
}

/**
 * Asks where users are connected. Published to all nodes, each publishes the
 * presence of those it has; as a request on a user's subject it is answered
 * with that user's.
 */
export interface PresenceQueryMessage {
  type: "presenceQuery";
  userIds: readonly string[];
}

/** Tells nodes that sessions of a user end: of one device, or of all. */
export interface LogoutMessage {
  type: "logout";
  /** The logout's id in the store. */
  id: number;
  userId: string;
  deviceId?: string;
}

/** Tells nodes that a device opened a session, which takes the place of any other of that device. */
export interface OpenedMessage {
  type: "opened";
  userId: string;
  deviceId: string;
  /** How often the device was opened, this time included. */
  opens: number;
}

/** A node's description of itself. */
export interface NodeStatus {
  /** Its name, unique among the nodes. */
  name: string;
  /** A random id made when the process started. */
  instanceId: string;
  /** Where it takes gRPC calls, as `host:port`. */
  address: string;
  /** The release it runs. */
  version: string;
  /** When it started, and its clock when it said so, in milliseconds since 1970. */
  startTimeMs: number;
  timeMs: number;
  /** How many sessions are open. */
  sessions: number;
  /** How many users have them. */
  users: number;
  draining: boolean;
}

/** A node's answer to `nodeQuery` and `drainNode`. */
export interface NodeMessage extends NodeStatus {
  type: "node";
}

/** Asks all nodes, or the one of a name, what they are. */
export interface NodeQueryMessage {
  type: "nodeQuery";
  name?: string;
}

/** Has the node of a name send its sessions elsewhere and take no new ones. */
export interface DrainNodeMessage {
  type: "drainNode";
  name: string;
  /** The most sessions it sends away in a second; 0 for all at once. */
  sessionsPerSecond: number;
}

export type BusMessage =
  | LogMessage
  | NoticeMessage
  | EphemeralMessage
  | PresenceMessage
  | PresenceQueryMessage
  | LogoutMessage
  | OpenedMessage
  | NodeMessage
  | NodeQueryMessage
  | DrainNodeMessage;

/** Called with each message. What it returns answers a request and is dropped otherwise. Must not throw. */
export type BusHandler = (message: BusMessage) => BusMessage | undefined;

/** The subjects messages are published on. Ids are used as they are; implementations encode them. */
export const subjects = {
  /** For what concerns a user's sessions. */
  user: (userId: string) => `user.${userId}`,
  /** For what concerns a group's members. */
  group: (groupId: string) => `group.${groupId}`,
  /** For what those who watch a user are told. */
  presence: (userId: string) => `presence.${userId}`,
  /** Notices of what was added to the log. */
  log: "log",
  /** For what every node has to know. */
  nodes: "nodes",
};

/** Returns the subjects on which the events of a conversation are published: those of its users, or its group's. */
export function subjectsOf(conversationId: string): string[] {
  const target = parseConversationId(conversationId);
  switch (target?.kind) {
    case "direct":
      return target.userIds.map(subjects.user);
    case "group":
      return [subjects.group(target.groupId)];
    case "personal":
      return [subjects.user(target.userId)];
    default:
      return [];
  }
}

/** How long to wait for answers. */
export interface RequestOptions {
  /** At most this long in all. */
  maxMs: number;
  /** Once there is an answer, no longer than this for a further one. Default: `maxMs`. */
  quietMs?: number;
}

/** Carries messages to whoever subscribed to their subject, on this node or another. */
export interface Bus {
  /** Publishes without waiting. A message published on several subjects may reach a node several times. */
  publish(subject: string, message: BusMessage): void;
  /** Subscribes until the returned function is called. */
  subscribe(subject: string, handler: BusHandler): () => void;
  /**
   * Publishes and returns what handlers in other processes answer; none, at
   * once, when no other process listens to the subject, or when the bus is cut off.
   */
  request(subject: string, message: BusMessage, options: RequestOptions): Promise<BusMessage[]>;
  /** Whether other processes can be reached now. Always, where there are none. */
  readonly connected: boolean;
  /** Registers what to call when messages may have been lost, as after a reconnect, until the returned function is called. */
  onReset(handler: () => void): () => void;
  /**
   * Registers what to call when a message of the log or a logout came that
   * cannot be relied on: of the release before, damaged, or of nobody knows
   * whom. What happened, if anything, only the store can tell. May be called for
   * each such message, until the returned function is called. A bus that carries
   * nothing from outside its process may leave it out.
   */
  onDoubt?(handler: () => void): () => void;
  /** Stops delivering. */
  close(): Promise<void>;
}
