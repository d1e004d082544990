/** Requests that nobody would write down, for fuzzing. */

import { create, type DescField, type DescMessage, ScalarType, toBinary } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { toDefinition } from "../../wire/definition.ts";
import { chatServices } from "../../wire/services.ts";

/** The codes that the server must never answer, whatever it is sent. */
export const serverFaults = ["INTERNAL", "UNKNOWN", "DATA_LOSS", "UNAVAILABLE", "DEADLINE_EXCEEDED"];

/** Groups that are there when requests are sent. */
export const groupIds = Array.from({ length: 20 }, (_, i) => `team-${i}`);

/** Ids that the server makes; to be filled in before requests are sent. */
export const ids = { messageId: "", epoch: "" };

/** Any bytes. */
export const noise = fc.uint8Array({ maxLength: 300, size: "max" });

const nastyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constantFrom("", "\0", "\u202e", "__proto__", "constructor", "../", "%00", "a".repeat(200), "\ufeff"),
);
const userIds = fc.constantFrom("alice", "bob", "carol", "dave");

/** Values that lead further into the server than random ones, by the names of fields. */
const known: Record<string, fc.Arbitrary<string>> = {
  group_id: fc.constantFrom(...groupIds),
  user_id: userIds,
  user_ids: userIds,
  member_ids: userIds,
  recipient_id: userIds,
  new_owner_id: fc.constant("alice"),
  mention_user_ids: userIds,
  dev_user_id: userIds,
  conversation_id: fc.constantFrom("d:alice:bob", "d:alice:carol", ...groupIds.map((id) => `g:${id}`)),
  message_id: fc.nat().map(() => ids.messageId),
  reply_to_message_id: fc.nat().map((n) => (n % 2 === 0 ? "" : ids.messageId)),
  around_message_id: fc.nat().map(() => ids.messageId),
  client_message_id: fc.constantFrom("", "1", "2"),
  epoch: fc.nat().map(() => ids.epoch),
  page_token: fc.constant(""),
  paths: fc.constantFrom(
    "name",
    "join_policy",
    "muted",
    "member_limit",
    "attributes",
    "role",
    "muted_until_time",
  ),
  url: fc.constant("https://example.com"),
  type_url: fc.constantFrom(
    "type.googleapis.com/acme.Order",
    "acme/",
    ...["Any", "Duration", "FieldMask", "ListValue", "StringValue", "Struct", "Timestamp", "Value"].map(
      (name) => `type.googleapis.com/google.protobuf.${name}`,
    ),
    "type.googleapis.com/google.rpc.ErrorInfo",
  ),
};
const nastyInteger = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 4 }) },
  fc.integer({ min: -3, max: 12 }),
  fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, 1_000, 1_001, 500, 65_536),
);
const nastyBigInt = fc.oneof(
  { weight: 3, arbitrary: fc.bigInt({ min: 0n, max: 4n }) },
  fc.bigInt({ min: -3n, max: 40n }),
  fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n, 253_402_300_800n, 1_700_000_000n),
);

function scalar(type: ScalarType, name: string): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return fc.oneof({ weight: 9, arbitrary: known[name] ?? nastyText }, nastyText);
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 64 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return nastyBigInt;
    default:
      return nastyInteger;
  }
}

/** Any message of a type: each field is set or not, whatever its rules. */
function messageOf(schema: DescMessage, depth = 4): fc.Arbitrary<Record<string, unknown>> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const member of schema.members) {
    if (member.kind === "field") fields[member.localName] = fieldOf(member, depth);
    else
      fields[member.localName] = fc.oneof(
        ...member.fields.map((field) =>
          fieldOf(field, depth).map((value) =>
            value === undefined ? { case: undefined } : { case: field.localName, value },
          ),
        ),
      );
  }
  // Mostly whole, so that not all are refused for what they lack.
  return fc.oneof({ weight: 4, arbitrary: fc.record(fields) }, fc.record(fields, { requiredKeys: [] }));
}

function fieldOf(field: DescField, depth: number): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "scalar":
      return isOptional(field)
        ? fc.option(scalar(field.scalar, field.name), { nil: undefined, freq: 1 })
        : scalar(field.scalar, field.name);
    case "enum":
      return nastyInteger;
    case "message":
      return depth === 0 ? fc.constant(undefined) : messageOf(field.message, depth - 1);
    case "map":
      return fc.dictionary(nastyText, nastyText, { maxKeys: 3 });
    case "list":
      if (field.listKind === "message")
        return depth === 0
          ? fc.constant([])
          : fc.array(messageOf(field.message, depth - 1), { maxLength: 3 });
      return fc.array(field.listKind === "enum" ? nastyInteger : scalar(field.scalar, field.name), {
        maxLength: field.name === "paths" ? 2 : 4,
      });
  }
}

function isOptional(field: DescField): boolean {
  return field.presence === FeatureSet_FieldPresence.EXPLICIT && field.oneof === undefined;
}

/** The bytes of any message of a type. */
export function bytesOf(schema: DescMessage): fc.Arbitrary<Uint8Array> {
  return messageOf(schema).map((init) => {
    try {
      return toBinary(schema, create(schema, init as never));
    } catch {
      // Half a surrogate pair cannot be written.
      return new Uint8Array();
    }
  });
}

/** Flips, cuts and repeats. */
export function mutated(bytes: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
  return fc.tuple(bytes, changes, fc.option(fc.nat()), fc.boolean()).map(([original, flips, cut, twice]) => {
    const changed = Uint8Array.from(original);
    for (const [at, value] of flips) if (changed.length > 0) changed[at % changed.length] = value;
    const kept = cut === null ? changed : changed.subarray(0, cut % (changed.length + 1));
    return twice ? Uint8Array.from([...kept, ...kept]) : kept;
  });
}

/** The methods with one request, but for those that would end what all others need. */
const methods = chatServices
  .flatMap((service) =>
    service.methods.map((method) => ({
      ...method,
      path: toDefinition(service)[method.localName as never]["path"],
    })),
  )
  .filter(({ methodKind, name }) => methodKind === "unary" && name !== "Logout" && name !== "DisbandGroup");

/** A call of a method with one request: valid, changed or noise. */
export const anyCall = fc.nat(methods.length - 1).chain((n) => {
  const { path, input } = methods[n] as (typeof methods)[number];
  const valid = bytesOf(input);
  return fc.record({
    path: fc.constant(path),
    request: fc.oneof({ weight: 4, arbitrary: valid }, { weight: 2, arbitrary: mutated(valid) }, noise),
  });
});
