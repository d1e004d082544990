/** Sends whose content may be anything that the rules allow. */

import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { SendDirectRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";

/** Text of any characters, among them those that formats write in a way of their own. */
const anyText = fc.oneof(
  fc.string({ unit: "binary", minLength: 1, maxLength: 300 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 100 }),
  fc.constantFrom("\0", "\ufeff", "\u2028", '"\\/', "</script>", "\ufffd", "e\u0301", "x".repeat(16_384)),
);

const entity = fc.record({
  start: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  length: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  format: fc.oneof(
    fc.record({ case: fc.constant("style" as const), value: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ case: fc.constant("url" as const), value: fc.webUrl({ withQueryParameters: true }) }),
  ),
});

const typeName = fc.oneof(
  fc.constantFrom(
    ...[
      "Any",
      "BytesValue",
      "Duration",
      "FieldMask",
      "ListValue",
      "StringValue",
      "Struct",
      "Timestamp",
      "Value",
    ].map((name) => `google.protobuf.${name}`),
    "google.rpc.ErrorInfo",
    "google.rpc.RetryInfo",
    "parlance.chat.v1.ChatMessage",
    "__proto__",
  ),
  fc.string({ unit: "binary", minLength: 1, maxLength: 40 }),
);

const custom = fc.record({
  typeUrl: fc
    .tuple(fc.constantFrom("", "type.googleapis.com/", "a/b/"), typeName)
    .map(([host, name]) => `${host}${name}`),
  value: fc.oneof(
    { weight: 9, arbitrary: fc.uint8Array({ maxLength: 500 }) },
    fc.uint8Array({ minLength: 60_000, maxLength: 60_000 }),
  ),
});

const kind = fc.oneof(
  fc.record({
    case: fc.constant("text" as const),
    value: fc.record({ body: anyText, entities: fc.array(entity, { maxLength: 3 }) }),
  }),
  fc.record({ case: fc.constant("custom" as const), value: custom }),
);

const options = fc.record({
  mentionUserIds: fc.uniqueArray(fc.constantFrom("ben", "zoë", "a:b", "%"), { maxLength: 3 }),
  mentionAll: fc.boolean(),
  labels: fc.dictionary(fc.string({ unit: "binary", minLength: 1, maxLength: 16 }), anyText.map(short), {
    maxKeys: 4,
  }),
  silent: fc.boolean(),
});

/** Any message to one user that may be sent; a few of them are refused. */
export const anySend = (recipientId: string) =>
  fc
    .record({
      kind,
      fallbackText: fc.oneof(fc.constant(""), anyText.map(short)),
      clientMessageId: fc.oneof(fc.constant(""), fc.uuid()),
      options: fc.option(options, { nil: undefined }),
    })
    .map(({ kind, fallbackText, clientMessageId, options }) =>
      create(SendDirectRequestSchema, {
        recipientId,
        content: { kind, fallbackText },
        clientMessageId,
        ...(options && { options }),
      }),
    );

/** The first characters of a text. */
function short(text: string): string {
  return [...text].slice(0, 40).join("");
}
