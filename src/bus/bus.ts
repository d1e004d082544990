/**
 * The bus carries events between nodes, at most once and in no promised order.
 * A message that is lost, late or doubled costs latency, never an event: feeds
 * find gaps by seq and read the store.
 *
 * Messages are objects, not bytes, so that within one process nothing is
 * encoded for nobody; an implementation that crosses processes encodes them.
 */

import type { EventKind } from "../store/store.ts";

/** An event of a log, ready to be sent to sessions. */
export interface LogMessage {
  type: "log";
  conversationId: string;
  seq: number;
  position: number;
  kind: EventKind;
  /** An encoded `StreamResponse` with the one event. */
  frame: Uint8Array;
}

/** The kinds of ephemeral events. The numbers are those of the proto's `EventKind`. */
export const EphemeralKind = { RECEIPT: 4, TYPING: 5, PRESENCE: 6 } as const;
export type EphemeralKind = (typeof EphemeralKind)[keyof typeof EphemeralKind];

/** An event that nothing keeps. */
export interface EphemeralMessage {
  type: "ephemeral";
  kind: EphemeralKind;
  /** Who gets it: the sessions of a user, those in a group, or those that watch a user's presence. */
  target: "user" | "group" | "watchers";
  /** The user or the group of `target`. */
  id: string;
  /** A user whose sessions do not get it. */
  exceptUserId?: string;
  /** An encoded `StreamResponse` with the one event. */
  frame: Uint8Array;
}

/** Tells nodes that sessions of a user end: of one device, or of all. */
export interface LogoutMessage {
  type: "logout";
  userId: string;
  deviceId?: string;
}

export type BusMessage = LogMessage | EphemeralMessage | LogoutMessage;

/** Called with each message, in the order of publishing within one process. Must not throw. */
export type BusHandler = (message: BusMessage) => void;

/** The subjects messages are published on. Ids are used as they are; implementations encode them. */
export const subjects = {
  user: (userId: string) => `user.${userId}`,
  group: (groupId: string) => `group.${groupId}`,
  presence: (userId: string) => `presence.${userId}`,
};

/** Carries messages to whoever subscribed to their subject, on this node or another. */
export interface Bus {
  /** Publishes without waiting. A message published on several subjects may reach a node several times. */
  publish(subject: string, message: BusMessage): void;
  /** Subscribes until the returned function is called. */
  subscribe(subject: string, handler: BusHandler): () => void;
  /** Registers what to call when messages may have been lost, as after a reconnect, until the returned function is called. */
  onReset(handler: () => void): () => void;
  /** Stops delivering. */
  close(): Promise<void>;
}
