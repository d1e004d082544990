import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack, durationMs } from "@bufbuild/protobuf/wkt";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  QuotaFailureSchema,
  RetryInfoSchema,
} from "../gen/google/rpc/error_details_pb.js";
import { type Status, StatusSchema } from "../gen/google/rpc/status_pb.js";
import { ErrorReason } from "../gen/parlance/chat/v1/error_reason_pb.js";

/** The trailer that carries an encoded `google.rpc.Status`. */
export const statusDetailsKey = "grpc-status-details-bin";

/** The `ErrorInfo.domain` of every error of this service. */
export const errorDomain = "parlance";

/** The details of an error besides its code and message, as a client reads them. */
export interface ErrorDetails {
  /** `UNSPECIFIED` when the server told none, or one this client does not know yet: then go by the status code. */
  reason: ErrorReason;
  /** The reason as the server wrote it, such as `GROUP_FULL`; empty when it told none. */
  reasonName: string;
  /** Further facts. An unexpected error of the server has `error_id`, which its log has too. */
  metadata: Record<string, string>;
  /** The wrong fields, with paths as in the proto, such as `content.text.body`. At most ten. */
  violations: Array<{ field: string; rule: string; description: string }>;
  /** When trying again makes sense. */
  retryAfterMs: number | undefined;
  /** The limit that was reached. */
  quota: { subject: string; description: string } | undefined;
}

/**
 * Reads what came with an error: the value of the trailer
 * `grpc-status-details-bin`, or the status of a refusal on a stream.
 *
 * Bytes that are no status (a proxy's, say) and details of other domains count
 * as absent: an error must stay readable whatever comes with it.
 */
export function readErrorDetails(source: Uint8Array | Status | undefined): ErrorDetails {
  const details: ErrorDetails = {
    reason: ErrorReason.UNSPECIFIED,
    reasonName: "",
    metadata: {},
    violations: [],
    retryAfterMs: undefined,
    quota: undefined,
  };
  try {
    const status = source instanceof Uint8Array ? fromBinary(StatusSchema, source) : source;
    if (status !== undefined) readInto(details, status);
  } catch {
    // Half-read details are better than an error about an error.
  }
  return details;
}

function readInto(details: ErrorDetails, status: Status): void {
  for (const any of status.details) {
    const info = anyUnpack(any, ErrorInfoSchema);
    if (info !== undefined && info.domain === errorDomain) {
      details.reason = reasons.get(info.reason) ?? ErrorReason.UNSPECIFIED;
      details.reasonName = info.reason;
      details.metadata = info.metadata;
    }
    for (const { field, reason, description } of anyUnpack(any, BadRequestSchema)?.fieldViolations ?? []) {
      details.violations.push({ field, rule: reason, description });
    }
    const delay = anyUnpack(any, RetryInfoSchema)?.retryDelay;
    if (delay !== undefined) details.retryAfterMs = durationMs(delay);
    const quota = anyUnpack(any, QuotaFailureSchema)?.violations[0];
    if (quota !== undefined) details.quota = { subject: quota.subject, description: quota.description };
  }
}

const reasons: ReadonlyMap<string, ErrorReason> = new Map(
  Object.values(ErrorReason)
    .filter((reason) => typeof reason === "number")
    .map((reason) => [ErrorReason[reason], reason]),
);
