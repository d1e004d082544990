import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Closed, Opened, OpenSchema, ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import type { ParlanceError } from "./errors.ts";

/** How a stream ended. */
export interface StreamEnd {
  /** The server's reason, as its last event told it, if it did. */
  closed: Closed | undefined;
  /** The status the stream ended with, unless it was OK. */
  error: ParlanceError | undefined;
  /** Whether it had been opened, and for how long, in milliseconds. */
  openMs: number | undefined;
}

/** Hears of what a stream brings. After `onEnd` nothing comes any more. */
export interface StreamHandler {
  onOpened(opened: Opened): void;
  /** The event is no reply and does not end the stream. */
  onEvent(event: ServerEvent): void;
  onEnd(end: StreamEnd): void;
}

/** A stream of events that is open, or about to be. */
export interface EventStream {
  /** Whether it is open and read. */
  readonly usable: boolean;
  /** Stops reading until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends it once the server has answered what is under way. */
  halfClose(): void;
  /** Ends it at once. */
  fail(error: ParlanceError): void;
}

/**
 * Opens streams for `Live`: the one thing of it that depends on the
 * transport. There is at most one stream at a time.
 */
export interface Streams {
  open(token: string, open: MessageInitShape<typeof OpenSchema>, handler: StreamHandler): EventStream;
  /** The stream opened last can carry requests from now on. */
  startRequests(): void;
  /** The stream is not read for now, so requests on it get no answer. */
  abandonRequests(): void;
  /** The stream has ended. */
  endRequests(): void;
  /** The connection failed or is to be left: the next stream and call take another, to the next server if there are several. */
  renew(): void;
  /** Whether there are several servers. */
  readonly hasOthers?: boolean;
}
