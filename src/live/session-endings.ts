/** How the server ends sessions: the last events, and the error the call ends with. */

import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { CloseReason } from "../../gen/parlance/chat/v1/event_pb.js";
import { ChatError, ErrorReason } from "../model/errors.ts";
import { tokenExpired } from "../rules/refusals.ts";
import { encodeEvent } from "./frames.ts";
import type { Session } from "./session.ts";

/** Sessions that are sent away at once come back spread over this time. */
const reconnectSpreadMs = 2_000;

/** Ends a session because its device opened another. */
export function endReplaced(session: Session): void {
  const error = new ChatError(
    ErrorReason.SESSION_REPLACED,
    "the device opened another stream, which takes the place of this one",
  );
  session.end(closedFrame(CloseReason.REPLACED), error);
}

/** Ends a session whose token has expired. */
export function endExpired(session: Session): void {
  session.end(closedFrame(CloseReason.TOKEN_EXPIRED), tokenExpired());
}

/** Ends a session that was logged out. */
export function endLoggedOut(session: Session): void {
  const error = new ChatError(ErrorReason.SESSION_LOGGED_OUT, "the session was logged out; log in again");
  session.end(closedFrame(CloseReason.LOGGED_OUT), error);
}

/** Asks a session to reconnect, and ends it without an error once its requests are answered. */
export function drain(session: Session, graceMs: number): void {
  const reconnectAfter = durationFromMs(Math.round(Math.random() * reconnectSpreadMs));
  session.drain(
    encodeEvent({ case: "drain", value: { grace: durationFromMs(graceMs), reconnectAfter } }),
    encodeEvent({ case: "closed", value: { reason: CloseReason.DRAINED, retryAfter: reconnectAfter } }),
  );
}

/** The answer to who comes while the server is about to stop. */
export function draining(): ChatError {
  return new ChatError(ErrorReason.SERVER_DRAINING, "the server is about to stop; try again", {
    retryAfterMs: 1_000,
  });
}

function closedFrame(reason: CloseReason): Uint8Array {
  return encodeEvent({ case: "closed", value: { reason } });
}
