/**
 * Makes up for what the library lacks in JSON. Content that only the host's clients
 * understand comes in an `Any`. In JSON it is
 * `{"@type": "…/acme.Order", "value": "<base64>"}`, whatever the type: its bytes
 * are not looked at, in either direction. Only what the server itself says of
 * errors is unpacked.
 */

import {
  clone,
  create,
  createRegistry,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import { type Any, AnySchema, type Duration, type Timestamp } from "@bufbuild/protobuf/wkt";
import { file_google_rpc_error_details } from "../../../gen/google/rpc/error_details_pb.js";
import { createChanger } from "./change-messages.ts";
import { jsonSchemaOf } from "./json-schemas.ts";

/** The types of error details, which JSON shows unpacked. */
export const detailTypes = createRegistry(file_google_rpc_error_details);

/** How JSON is read and written, by the library or not. */
export const jsonOptions = {
  registry: detailTypes,
  // As in binary, what a newer client knows more is no error.
  ignoreUnknownFields: true,
  // Of text that is not UTF-8 nothing is guessed.
  textDecoder: new TextDecoder("utf-8", { fatal: true }),
};

const contractPackage = "parlance.chat.v1";

/** Brings messages into the form that can be written whatever is in them. */
const toForm = createChanger(
  contractPackage,
  new Map<string, (message: never) => unknown>([
    ["google.protobuf.Any", anyToForm],
    ["google.protobuf.Timestamp", within(-62_135_596_800n, 253_402_300_799n)],
    ["google.protobuf.Duration", within(-315_576_000_000n, 315_576_000_000n)],
  ]),
);

const fromForm = createChanger(contractPackage, new Map([["google.protobuf.Struct", anyFromForm]]));

/**
 * Turns a message of the contract, in place, into one of the type that
 * `jsonSchemaOf` returns, which can always be written.
 */
export function toJsonForm(schema: DescMessage, message: Message): Message {
  toForm(schema, message);
  return message;
}

/**
 * Turns a message that was read as of the type that `jsonSchemaOf` returns, in
 * place, into one of the contract.
 *
 * @param schema the type that it was read as
 * @throws Error when content is of another form than an `Any` has in JSON
 */
export function fromJsonForm(schema: DescMessage, message: Message): Message {
  fromForm(schema, message);
  return message;
}

/** Returns a message of the contract in JSON, and leaves it as it is. */
export function jsonOf<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): JsonValue {
  return toJson(jsonSchemaOf(schema), toJsonForm(schema, clone(schema, message)), jsonOptions);
}

function anyToForm({ typeUrl, value }: Any): JsonObject {
  // Node's base64: that of the library takes 300 times as long.
  const base64 = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
  return { "@type": typeUrl, value: base64 };
}

function anyFromForm(form: JsonObject): Any {
  const { "@type": typeUrl, value, ...others } = form;
  if (typeof typeUrl !== "string" || typeof value !== "string" || Object.keys(others).length > 0)
    throw new Error(`content.custom must be ${anyForm}, whatever its type`);
  const digits = value.replace(/={0,2}$/, "");
  if (!/^[\w+/-]*$/.test(digits) || digits.length % 4 === 1)
    throw new Error(`content.custom must be ${anyForm}, and its value is not in base64`);
  return create(AnySchema, { typeUrl, value: new Uint8Array(Buffer.from(digits, "base64")) });
}

const anyForm = `{"@type": "<name of the type>", "value": "<its encoded message in base64>"}`;

/** Moves a time that a store may hold and JSON cannot tell to the nearest that it can, by the seconds of both ends. */
function within(least: bigint, most: bigint): (time: Timestamp | Duration) => Timestamp | Duration {
  return (time) => {
    const { seconds, nanos } = time;
    if (seconds >= least && seconds <= most && nanos >= 0 && nanos <= 999_999_999) return time;
    time.seconds = seconds < least ? least : seconds > most ? most : seconds;
    time.nanos = 0;
    return time;
  };
}
