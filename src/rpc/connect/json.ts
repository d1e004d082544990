/**
 * What JSON needs beyond the library: types for `google.protobuf.Any`. Content
 * that only the host's clients understand has types that the server does not
 * know. In JSON it is `{"@type": "…/acme.Order", "value": "<base64>"}`, its
 * encoded message untouched in both directions.
 */

import {
  clone,
  create,
  createRegistry,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type Any,
  BytesValueSchema,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import { LRUCache } from "lru-cache";
import { file_google_rpc_error_details } from "../../../gen/google/rpc/error_details_pb.js";

/** The types that the server knows: those of error details, and small ones of Protobuf itself. */
export const knownTypes = createRegistry(
  file_google_rpc_error_details,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
);
/** The types come from users, hence the bound. */
const opaqueTypes = new LRUCache<string, DescMessage>({ max: 256 });

/** Knows those types, and takes all others for opaque bytes. */
const jsonRegistry = {
  ...knownTypes,
  getMessage: (typeName: string) => knownTypes.getMessage(typeName) ?? opaqueType(typeName),
};

/** How JSON is read and written, by the library or not. */
export const jsonOptions = {
  registry: jsonRegistry,
  // As in binary, what a newer client knows more is no error.
  ignoreUnknownFields: true,
  // Of text that is not UTF-8 nothing is guessed.
  textDecoder: new TextDecoder("utf-8", { fatal: true }),
};

/** Returns a message as `jsonOptions` can write it: the value of each opaque `Any` in an envelope. */
export function wrapOpaque<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>) {
  if (opaqueAnysOf(message).next().done) return message;
  const copy = clone(schema, message);
  for (const any of opaqueAnysOf(copy)) {
    any.value = toBinary(BytesValueSchema, create(BytesValueSchema, { value: any.value }));
  }
  return copy;
}

/** Undoes, in a message that was read from JSON, what `wrapOpaque` does. */
export function unwrapOpaque<M extends Message>(message: M): M {
  for (const any of opaqueAnysOf(message)) any.value = fromBinary(BytesValueSchema, any.value).value;
  return message;
}

function opaqueType(typeName: string): DescMessage {
  let type = opaqueTypes.get(typeName);
  if (type === undefined) {
    type = Object.assign(Object.create(BytesValueSchema), { typeName }) as DescMessage;
    opaqueTypes.set(typeName, type);
  }
  return type;
}

function* opaqueAnysOf(value: unknown): Generator<Any> {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  if (isAny(value)) {
    const typeName = value.typeUrl.slice(value.typeUrl.lastIndexOf("/") + 1);
    if (typeName !== "" && knownTypes.getMessage(typeName) === undefined) yield value;
    return;
  }
  for (const member of Object.values(value)) yield* opaqueAnysOf(member);
}

function isAny(value: object): value is Any {
  return (value as Partial<Message>).$typeName === "google.protobuf.Any";
}
