import { fromBinary, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Metadata, ServerError } from "nice-grpc";
import { type Status as RpcStatus, StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import { statusDetailsKey } from "../../../wire/error-details.ts";
import { ChatError, ErrorReason } from "../../model/errors.ts";
import { detailTypes } from "./json.ts";

/** Turns a status into what the library ends a call with, details and all; in JSON they can be read by people too. */
export function connectErrorOf({ code, message, details }: RpcStatus): ConnectError {
  const error = new ConnectError(message, code as Code);
  error.details = details.map(({ typeUrl, value }) => {
    const type = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
    const desc = detailTypes.getMessage(type);
    return { type, value, ...(desc && { debug: toJson(desc, fromBinary(desc, value)) }) };
  });
  return error;
}

/**
 * Turns what an implementation for nice-grpc threw into what the library ends a
 * call with.
 *
 * @param trailer the call's; has the details
 */
export function toConnectError(error: unknown, trailer: Metadata): ConnectError {
  if (!(error instanceof ServerError)) {
    const aborted = error instanceof Error && error.name === "AbortError";
    return aborted
      ? new ConnectError("the call was cancelled", Code.Canceled)
      : new ConnectError("unexpected error of the server", Code.Internal, undefined, undefined, error);
  }
  const details = trailer.get(statusDetailsKey);
  if (details instanceof Uint8Array) return connectErrorOf(fromBinary(StatusSchema, details));
  return new ConnectError(error.details, error.code as number as Code);
}

/**
 * Says in the words of the contract what the library has against a request, if
 * it is the client's fault: the library's own errors have no details, and some
 * are INTERNAL.
 */
export function refusalOf(error: unknown, maxRequestBytes: number): ChatError | undefined {
  if (!(error instanceof ConnectError) || error.details.length > 0) return undefined;
  const { code, rawMessage } = error;
  if (code === Code.ResourceExhausted && rawMessage.includes("readMaxBytes"))
    return tooLarge(maxRequestBytes);
  if (code === Code.InvalidArgument && rawMessage.includes("timeout value"))
    return new ChatError(ErrorReason.INVALID_METADATA, "the metadata that names the timeout is malformed");
  if (code === Code.InvalidArgument || (code === Code.Internal && undecodable.test(rawMessage)))
    return new ChatError(ErrorReason.UNDECODABLE_REQUEST, `the request cannot be read: ${rawMessage}`);
  return undefined;
}

const undecodable = /^(parse binary|received compressed envelope|decompression failed)/;

/** Makes the error for a request that is too large. */
export function tooLarge(maxRequestBytes: number): ChatError {
  const message = `the request has more than the ${maxRequestBytes} bytes allowed`;
  return new ChatError(ErrorReason.REQUEST_TOO_LARGE, message);
}
