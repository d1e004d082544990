import { Code as Status } from "../../gen/google/rpc/code_pb.js";
import type { Status as RpcStatus } from "../../gen/google/rpc/status_pb.js";
import { ErrorReason } from "../../gen/parlance/chat/v1/error_reason_pb.js";
import { type ErrorDetails, readErrorDetails } from "../../wire/error-details.ts";

export { ErrorReason, Status };

/** A field of a request that breaks a rule. */
export interface Violation {
  /** The path of the field, such as `content.text.body`. */
  field: string;
  /** The rule, such as `string.min_bytes`. May be empty. */
  rule: string;
  /** Says what is wrong, for people. */
  description: string;
}

/** The parts of a `ParlanceError` beside its code and message. */
export interface ParlanceErrorInit extends Partial<ErrorDetails> {
  cause?: unknown;
}

/** Every error this client throws or ends with. */
export class ParlanceError extends Error {
  override readonly name = "ParlanceError";
  /** The gRPC status code, a number of `Status`. */
  readonly code: Status;
  /** Why, a number of `ErrorReason`; UNSPECIFIED when the server did not say, or said one this client does not know. */
  readonly reason: ErrorReason;
  /** The reason as the server wrote it, such as `GROUP_FULL`; empty when it did not say. */
  readonly reasonName: string;
  /** Further facts, by name. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The fields of the request that are wrong. */
  readonly violations: readonly Violation[];
  /** How long the server asked to wait before another try. */
  readonly retryAfterMs: number | undefined;
  /** The limit that was reached. */
  readonly quota: { subject: string; description: string } | undefined;

  constructor(code: Status, message: string, init: ParlanceErrorInit = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = code;
    this.reason = init.reason ?? ErrorReason.UNSPECIFIED;
    this.reasonName = init.reasonName ?? (init.reason ? ErrorReason[init.reason] : "");
    this.metadata = init.metadata ?? {};
    this.violations = init.violations ?? [];
    this.retryAfterMs = init.retryAfterMs;
    this.quota = init.quota;
  }
}

/** Turns a `google.rpc.Status`, as a refusal carries it, into an error. */
export function errorOfRpcStatus(status: RpcStatus): ParlanceError {
  return new ParlanceError(status.code as Status, status.message, readErrorDetails(status));
}

/**
 * Turns the status that ended a call into an error.
 *
 * @param detailsBin the trailer `grpc-status-details-bin`, if there was one
 */
export function errorOfCall(
  code: Status,
  message: string,
  detailsBin: Uint8Array | undefined,
  cause?: unknown,
): ParlanceError {
  return new ParlanceError(code, message, { ...readErrorDetails(detailsBin), cause });
}

/**
 * Tells whether the request certainly had no effect, so that any request may be
 * sent again.
 */
export function hadNoEffect(error: ParlanceError): boolean {
  if (error.reason === ErrorReason.SERVER_DRAINING) return true;
  if (error.reason === ErrorReason.SERVER_STARTING) return true;
  if (error.reason === ErrorReason.TOO_MANY_SESSIONS) return true;
  // A limit that says when to come again was reached before anything was done.
  if (error.code === Status.RESOURCE_EXHAUSTED && error.retryAfterMs !== undefined) return true;
  return (
    error.code === Status.UNAVAILABLE &&
    /^No connection established|^Name resolution failed|^Stream refused by server/.test(error.message)
  );
}

/** Tells whether a request that may be repeated is worth repeating. */
export function isTransient(error: ParlanceError): boolean {
  if (hadNoEffect(error)) return true;
  switch (error.code) {
    case Status.UNAVAILABLE:
    case Status.DEADLINE_EXCEEDED:
      return true;
    case Status.INTERNAL:
    case Status.UNKNOWN:
    case Status.CANCELLED:
      // Without a word from the server it is the connection that broke.
      return error.reason === ErrorReason.UNSPECIFIED && isTransport(error);
    default:
      return false;
  }
}

/** Tells whether the connection failed, rather than the server saying so. */
export function isTransport(error: ParlanceError): boolean {
  if (error.reason !== ErrorReason.UNSPECIFIED) return false;
  if (error.code === Status.UNAVAILABLE || error.code === Status.DEADLINE_EXCEEDED) return true;
  return /RST_STREAM|GOAWAY|Connection dropped|Call cancelled|socket|ECONN|closed/i.test(error.message);
}

/** Tells whether another server may take what this one does not: the connection failed, or the server is out of service. */
export function isOfServer(error: ParlanceError): boolean {
  switch (error.reason) {
    case ErrorReason.SERVER_DRAINING:
    case ErrorReason.SERVER_STARTING:
    case ErrorReason.STORE_UNAVAILABLE:
    case ErrorReason.TOO_MANY_SESSIONS:
      return true;
    default:
      return isTransport(error);
  }
}

/** Tells whether an error says that there is no such conversation, or none for this user. */
export function isAbsent(error: unknown): boolean {
  if (!(error instanceof ParlanceError)) return false;
  switch (error.reason) {
    case ErrorReason.CONVERSATION_NOT_FOUND:
    case ErrorReason.GROUP_NOT_FOUND:
    case ErrorReason.NOT_A_MEMBER:
      return true;
    default:
      return false;
  }
}
