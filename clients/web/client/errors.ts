import { create } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import { errorOfRpcStatus, ParlanceError, Status } from "../../typescript/errors.ts";

/** What a call fails with when it is the way to the server that failed, not the server that refused. */
const transportCodes: readonly Code[] = [
  Code.Unknown,
  Code.Internal,
  Code.Aborted,
  Code.DataLoss,
  Code.Unavailable,
];

interface PackedDetail {
  type: string;
  value: Uint8Array;
}

/** Turns whatever a call failed with into the error that the SDK knows. */
export function toParlanceError(cause: unknown): ParlanceError {
  if (cause instanceof ParlanceError) return cause;
  const { code, rawMessage, details } = ConnectError.from(cause);
  const packed = details.filter(isPacked);
  if (packed.length === 0) {
    if (transportCodes.includes(code))
      return new ParlanceError(Status.UNAVAILABLE, "the server cannot be reached", { cause });
    return new ParlanceError(code as number, rawMessage, { cause });
  }
  return errorOfRpcStatus(
    create(StatusSchema, {
      code,
      message: rawMessage,
      details: packed.map(({ type, value }) =>
        create(AnySchema, { typeUrl: `type.googleapis.com/${type}`, value }),
      ),
    }),
  );
}

/** Details that came over the wire are packed; those a program adds itself are not. */
function isPacked(detail: object): detail is PackedDetail {
  return "type" in detail && "value" in detail && detail.value instanceof Uint8Array;
}
