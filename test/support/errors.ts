import { type CallOptions, ClientError, type Metadata, Status } from "nice-grpc";
import type { Status as RpcStatus } from "../../gen/google/rpc/status_pb.js";
import { type ErrorDetails, readErrorDetails, statusDetailsKey } from "../../wire/error-details.ts";

/** What a caller learns from an error: code, reason and details. */
export interface Failure extends ErrorDetails {
  /** The status code's name, such as `NOT_FOUND`. */
  code: string;
  message: string;
}

/** Makes a call that has to fail and returns what its caller learns; an ended stream counts as a call. */
export async function failureOf(call: (options: CallOptions) => unknown): Promise<Failure> {
  let trailer: Metadata | undefined;
  const options: CallOptions = {
    onTrailer: (metadata) => {
      trailer = metadata;
    },
  };
  try {
    const result = await call(options);
    if (isAsyncIterable(result)) for await (const _ of result);
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    const details = readErrorDetails(trailer?.get(statusDetailsKey) as Uint8Array | undefined);
    return { code: Status[error.code] as string, message: error.details, ...details };
  }
  throw new Error("the call did not fail");
}

/** Returns what a refusal on a stream says. */
export function failureIn({ status }: { status?: RpcStatus | undefined }): Failure {
  return {
    code: Status[status?.code ?? 0] as string,
    message: status?.message ?? "",
    ...readErrorDetails(status),
  };
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
