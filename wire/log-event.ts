/** The events of conversations, as stores keep them and frames are made from them. */

/**
 * The kinds of log events that this release writes. The numbers are stored;
 * never reuse one. A log may also hold kinds of later releases, which are passed
 * on as they are.
 */
export const EventKind = {
  /** The body is an encoded `ChatMessage`. */
  MESSAGE: 1,
  /** The body is an encoded `MembershipChanged`. */
  MEMBERSHIP: 2,
  /** The body is an encoded `Group`. */
  GROUP: 3,
} as const;
export type EventKind = (typeof EventKind)[keyof typeof EventKind];

/**
 * One event of the log.
 *
 * The body of a message is the encoded `ChatMessage` as the sender determined
 * it, without what the store adds: message id, seq and acceptance time.
 * `event-frame.ts` splices them in. So a repeated send has an equal body, and
 * reading the log never decodes. Bodies of other kinds are complete; those of
 * kinds above 3 are a whole field of `ServerEvent` (`event-field.ts`).
 */
export interface LogEvent {
  position: number;
  conversationId: string;
  seq: number;
  /** One of `EventKind`, or the number of a kind that only later releases know. */
  kind: number;
  /** The user who caused it. */
  senderId: string;
  /** Milliseconds since 1970. Never lower than that of a lower position. */
  acceptTimeMs: number;
  body: Uint8Array;
  /** Its audience, where that is not everybody who gets the conversation. Only `readTail` tells it. */
  audience?: Audience;
}

/**
 * The readers of an event, where they are not everybody who gets the events around
 * it. It stands beside the event, so that nodes need not know what the event is.
 */
export interface Audience {
  /** The seq of the message whose content or counts the event shows: it is for those who may read that. */
  readonly aboutSeq?: number;
  /** It is for these alone. */
  readonly userIds?: readonly string[];
}
