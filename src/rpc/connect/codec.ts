import {
  create,
  type DescMessage,
  fromBinary,
  isMessage,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { toJsonForm } from "./json.ts";

/**
 * Makes what a handler returned into a message that the library can write: for
 * JSON, as one of the type of `jsonSchemaOf`.
 *
 * An encoded message is decoded for JSON only. For binary it becomes a message
 * whose one unknown field is all of it, tag apart: unknown fields are written
 * as they are, so its bytes pass through. That needs a message that begins with
 * a field of the length-delimited kind, as `StreamResponse` does.
 */
export function toMessage(
  schema: DescMessage,
  response: MessageInitShape<DescMessage> | Uint8Array,
  json: boolean,
): Message {
  if (!(response instanceof Uint8Array)) {
    const message = isMessage(response) ? response : create(schema, response);
    return json ? toJsonForm(schema, message) : message;
  }
  if (json) return toJsonForm(schema, fromBinary(schema, response));
  return passThrough(schema, response);
}

const firstField = 1;
const firstTag = (firstField << 3) | WireType.LengthDelimited;

function passThrough(schema: DescMessage, bytes: Uint8Array): Message {
  if (bytes[0] !== firstTag) return fromBinary(schema, bytes);
  const message = create(schema);
  message.$unknown = [{ no: firstField, wireType: WireType.LengthDelimited, data: bytes.subarray(1) }];
  return message;
}
