import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Metadata, ServerError, Status } from "nice-grpc";
import { v7 as uuidv7 } from "uuid";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  QuotaFailureSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.js";
import { type Status as RpcStatus, StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { errorDomain, statusDetailsKey } from "../../wire/error-details.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";

/**
 * The gRPC code of each reason. Codes mean what gRPC says: INVALID_ARGUMENT is
 * wrong whatever the state, FAILED_PRECONDITION wrong in this state,
 * UNAVAILABLE worth trying again, RESOURCE_EXHAUSTED a limit that was reached.
 */
export const statusOf: Readonly<Record<ErrorReason, Status>> = {
  [ErrorReason.UNSPECIFIED]: Status.INTERNAL,
  [ErrorReason.INVALID_REQUEST]: Status.INVALID_ARGUMENT,
  [ErrorReason.UNDECODABLE_REQUEST]: Status.INVALID_ARGUMENT,
  [ErrorReason.MISSING_TOKEN]: Status.UNAUTHENTICATED,
  [ErrorReason.INVALID_TOKEN]: Status.UNAUTHENTICATED,
  [ErrorReason.TOKEN_EXPIRED]: Status.UNAUTHENTICATED,
  [ErrorReason.SESSION_LOGGED_OUT]: Status.UNAUTHENTICATED,
  [ErrorReason.LOGIN_METHOD_DISABLED]: Status.UNAUTHENTICATED,
  [ErrorReason.SESSION_REPLACED]: Status.ABORTED,
  [ErrorReason.STREAM_NOT_OPENED]: Status.DEADLINE_EXCEEDED,
  [ErrorReason.STREAM_ALREADY_OPEN]: Status.FAILED_PRECONDITION,
  [ErrorReason.CURSOR_OF_ANOTHER_EPOCH]: Status.FAILED_PRECONDITION,
  [ErrorReason.CURSOR_IN_FUTURE]: Status.INVALID_ARGUMENT,
  [ErrorReason.RECIPIENT_IS_SENDER]: Status.INVALID_ARGUMENT,
  [ErrorReason.CLIENT_MESSAGE_ID_REUSED]: Status.ALREADY_EXISTS,
  [ErrorReason.CONTENT_TOO_LARGE]: Status.INVALID_ARGUMENT,
  [ErrorReason.REPLY_TARGET_NOT_FOUND]: Status.NOT_FOUND,
  [ErrorReason.MESSAGE_NOT_FOUND]: Status.NOT_FOUND,
  [ErrorReason.CONVERSATION_NOT_FOUND]: Status.NOT_FOUND,
  [ErrorReason.SEQ_IN_FUTURE]: Status.INVALID_ARGUMENT,
  [ErrorReason.GROUP_NOT_FOUND]: Status.NOT_FOUND,
  [ErrorReason.GROUP_ID_TAKEN]: Status.ALREADY_EXISTS,
  [ErrorReason.NOT_A_MEMBER]: Status.PERMISSION_DENIED,
  [ErrorReason.MEMBER_NOT_FOUND]: Status.NOT_FOUND,
  [ErrorReason.ALREADY_A_MEMBER]: Status.ALREADY_EXISTS,
  [ErrorReason.JOIN_NOT_ALLOWED]: Status.PERMISSION_DENIED,
  [ErrorReason.APPROVAL_NOT_SUPPORTED]: Status.UNIMPLEMENTED,
  [ErrorReason.ROLE_TOO_LOW]: Status.PERMISSION_DENIED,
  [ErrorReason.OWNER_CANNOT_LEAVE]: Status.FAILED_PRECONDITION,
  [ErrorReason.MEMBER_MUTED]: Status.PERMISSION_DENIED,
  [ErrorReason.GROUP_MUTED]: Status.PERMISSION_DENIED,
  [ErrorReason.GROUP_FULL]: Status.RESOURCE_EXHAUSTED,
  [ErrorReason.FIELD_NOT_UPDATABLE]: Status.INVALID_ARGUMENT,
  [ErrorReason.INVALID_PAGE_TOKEN]: Status.INVALID_ARGUMENT,
  [ErrorReason.STORAGE_FULL]: Status.RESOURCE_EXHAUSTED,
  [ErrorReason.STORE_UNAVAILABLE]: Status.UNAVAILABLE,
  [ErrorReason.SERVER_DRAINING]: Status.UNAVAILABLE,
  [ErrorReason.DEADLINE_TOO_LONG]: Status.DEADLINE_EXCEEDED,
  [ErrorReason.TOO_MANY_SESSIONS]: Status.RESOURCE_EXHAUSTED,
  [ErrorReason.REQUEST_TOO_LARGE]: Status.RESOURCE_EXHAUSTED,
  [ErrorReason.INVALID_METADATA]: Status.INVALID_ARGUMENT,
  [ErrorReason.TOO_MANY_NEW_SESSIONS]: Status.RESOURCE_EXHAUSTED,
  [ErrorReason.NODE_NOT_FOUND]: Status.NOT_FOUND,
  [ErrorReason.SERVER_STARTING]: Status.UNAVAILABLE,
  [ErrorReason.RATE_LIMITED]: Status.RESOURCE_EXHAUSTED,
  [ErrorReason.QUOTA_EXCEEDED]: Status.RESOURCE_EXHAUSTED,
  [ErrorReason.MEMBER_LIMIT_TOO_LOW]: Status.FAILED_PRECONDITION,
  [ErrorReason.UNREAD_ANSWERS]: Status.RESOURCE_EXHAUSTED,
};

/** Is told of each error that leaves as INTERNAL, to log it whole under the id that its caller got. */
export type ReportUnexpected = (errorId: string, error: unknown) => void;

/**
 * Turns whatever was thrown into the status its caller gets, for a refusal on a
 * stream or a call.
 *
 * A `ChatError` keeps its message and details, a `ServerError` its code and
 * message, an `AbortError` becomes CANCELLED. Anything else is reported and
 * becomes INTERNAL, with an `error_id` and nothing more.
 */
export function toStatus(error: unknown, report: ReportUnexpected): RpcStatus {
  if (error instanceof ChatError) {
    return create(StatusSchema, {
      code: statusOf[error.reason],
      message: clip(error.message),
      details: detailsOf(error),
    });
  }
  if (error instanceof ServerError) {
    return create(StatusSchema, { code: error.code, message: clip(error.details) });
  }
  if (error instanceof Error && error.name === "AbortError") {
    return create(StatusSchema, { code: Status.CANCELLED, message: "the call was cancelled" });
  }
  const errorId = uuidv7();
  report(errorId, error);
  return create(StatusSchema, {
    code: Status.INTERNAL,
    message: `unexpected error of the server; its log has the cause under ${errorId}`,
    details: [errorInfo(ErrorReason.UNSPECIFIED, { error_id: errorId })],
  });
}

/**
 * Turns whatever a handler threw into what nice-grpc ends its call with, by the
 * rules of `toStatus`.
 *
 * @param trailer the call's; gets the details as `grpc-status-details-bin`
 */
export function toServerError(error: unknown, trailer: Metadata, report: ReportUnexpected): ServerError {
  const status = toStatus(error, report);
  if (status.details.length > 0) trailer.set(statusDetailsKey, toBinary(StatusSchema, status));
  return new ServerError(status.code, status.message);
}

function detailsOf({ reason, details }: ChatError): Any[] {
  const { violations = [], quota, retryAfterMs } = details;
  const packed = [errorInfo(reason, details.metadata ?? {})];
  if (violations.length > 0) {
    const fieldViolations = violations.slice(0, maxViolations).map(({ field, rule, description }) => ({
      field: clip(field),
      reason: rule,
      description: clip(description),
    }));
    packed.push(pack(BadRequestSchema, { fieldViolations }));
  }
  if (quota !== undefined) packed.push(pack(QuotaFailureSchema, { violations: [quota] }));
  if (retryAfterMs !== undefined)
    packed.push(pack(RetryInfoSchema, { retryDelay: durationFromMs(retryAfterMs) }));
  return packed;
}

function errorInfo(reason: ErrorReason, metadata: Record<string, string>): Any {
  return pack(ErrorInfoSchema, { reason: ErrorReason[reason], domain: errorDomain, metadata });
}

function pack<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Any {
  return anyPack(schema, create(schema, init));
}

/**
 * Details travel in a trailer, and Java clients refuse headers above 8 KiB; a
 * field path can hold a map key that the caller made as long as it liked.
 */
const maxViolations = 10;
const maxTextLength = 200;

/** Also mends lone surrogates, on which grpc-js throws when it escapes the message. */
function clip(text: string): string {
  return (text.length <= maxTextLength ? text : `${text.slice(0, maxTextLength)}…`).toWellFormed();
}

/** The name of a status code, such as `NOT_FOUND`. */
export function codeName(code: number): string {
  return Status[code] ?? String(code);
}
