import { ErrorReason } from "../../gen/parlance/chat/v1/error_reason_pb.js";

export { ErrorReason };

/** The details of an error besides its reason; each becomes a `google.rpc` detail. */
export interface ChatErrorDetails {
  /** Fields of the request that are wrong: `BadRequest`. Paths as in the proto, such as `content.text.body`. */
  violations?: ReadonlyArray<{ field: string; rule: string; description: string }>;
  /** The limit that was reached: `QuotaFailure`. */
  quota?: { subject: string; description: string };
  /** When trying again makes sense: `RetryInfo`. */
  retryAfterMs?: number;
  /** Further facts for programs: `ErrorInfo.metadata`. */
  metadata?: Record<string, string>;
  /** The error below it. Logged, never sent. */
  cause?: unknown;
}

/**
 * A refusal with a reason from the contract. It knows nothing of gRPC:
 * `rpc/errors.ts` turns it into a status.
 */
export class ChatError extends Error {
  override readonly name = "ChatError";
  readonly reason: ErrorReason;
  readonly details: ChatErrorDetails;

  /** @param message for people, in English: what is wrong and what to do; goes to the caller */
  constructor(reason: ErrorReason, message: string, details: ChatErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.reason = reason;
    this.details = details;
  }
}
