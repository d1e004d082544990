import type { Cursor } from "../../gen/parlance/chat/v1/cursor_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";

/** The cases of `ServerEvent` that are not in a log: replies, what steers the stream, what is ephemeral. */
type PassingCase =
  | "opened"
  | "caughtUp"
  | "behind"
  | "sent"
  | "refusal"
  | "pong"
  | "receipt"
  | "typing"
  | "presence"
  | "drain"
  | "closed"
  | "done"
  | "conversation";

/** The cases of `ServerEvent` that are events of a conversation's log, but for `withheld`, which has nothing to show. */
export type LogCase = Exclude<ServerEvent["event"]["case"], PassingCase | "withheld" | undefined>;

/** Where an event of the log stands. */
export interface Place {
  conversationId: string;
  seq: bigint;
}

/** The cases of `ServerEvent` that an application is shown. */
export type ShownCase = LogCase | "receipt" | "typing" | "presence" | "caughtUp" | "behind";

/**
 * The server's log is another one now, as after restoring a backup: what the
 * application keeps of earlier events may not be in it. The client starts anew
 * with the user's unread messages.
 */
export interface Reset {
  /** The epoch of the log before. */
  formerEpoch: string;
}

type Shown<E> = E extends { case: LogCase }
  ? E & { cursor: Cursor | undefined; place: Place }
  : E extends { case: ShownCase }
    ? E & { cursor: Cursor | undefined }
    : never;

/**
 * An event as an application gets it, told apart by `case`. Events of the log
 * have their `place` in it.
 *
 * `cursor` is what to give to `client.ack` once the event is safe; it is set in
 * log events that came over the stream and in `caughtUp`. A message that was
 * read from the history after `behind` has none, nor has the event of a
 * membership that ended meanwhile: the `caughtUp` behind them stands for all.
 */
export type ClientEvent = Shown<ServerEvent["event"]> | { case: "reset"; value: Reset; cursor: undefined };
