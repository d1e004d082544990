import { ChatError, ErrorReason } from "../model/errors.ts";

/** The answer to a token that was good once. */
export function tokenExpired(): ChatError {
  return new ChatError(ErrorReason.TOKEN_EXPIRED, "the token has expired; log in again");
}
