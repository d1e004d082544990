import { create, type DescMessage, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SendDirectRequestSchema, StreamRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { createQuickCheck } from "../../src/rpc/quick-check.ts";
import { ownRules, toEcma } from "../../src/rpc/validation.ts";
import { chatServices } from "../../wire/services.ts";
import { bytesOf } from "../bad-input/arbitraries.ts";
import { seed } from "../support/seed.ts";

const match = (pattern: string, text: string) => new RegExp(toEcma(pattern), "u").test(text);
const library = createValidator({ regexMatch: match, registry: ownRules });
const quickCheck = createQuickCheck(match);
const requestTypes: DescMessage[] = chatServices.flatMap((service) =>
  service.methods.map((method) => method.input),
);

test("what passes at a glance keeps every rule of the schema, whatever the request", () => {
  let passed = 0;
  fc.assert(
    fc.property(
      fc
        .constantFrom(...requestTypes, StreamRequestSchema)
        .chain((schema) => bytesOf(schema).map((bytes) => ({ schema, message: fromBinary(schema, bytes) }))),
      ({ schema, message }) => {
        if (!quickCheck(schema, message)) return;
        passed++;
        expect(library.validate(schema, message)).toMatchObject({ kind: "valid" });
      },
    ),
    { seed: seed(), numRuns: 3_000 },
  );
  expect(passed).toBeGreaterThan(100);
});

test("the usual requests pass at a glance", () => {
  const content = { kind: { case: "text" as const, value: { body: "Grüße 🦉" } } };
  const sendDirect = create(SendDirectRequestSchema, {
    recipientId: "Ünal 🦉",
    content,
    clientMessageId: "01938f3e-6c7b-7d4a-8f00-9f2e3c1d5b6a",
    options: {},
  });
  expect(quickCheck(SendDirectRequestSchema, sendDirect)).toBe(true);
  const requests: MessageInitShape<typeof StreamRequestSchema>["request"][] = [
    { case: "sendDirect", value: sendDirect },
    { case: "sendGroup", value: { groupId: "tea", content } },
    { case: "ping", value: {} },
  ];
  for (const request of requests) {
    const message = create(StreamRequestSchema, { requestId: "1", ...(request && { request }) });
    expect(quickCheck(StreamRequestSchema, message)).toBe(true);
  }
});

test("one byte more than a rule allows does not pass at a glance", () => {
  const request = (recipientId: string, body = "hi") =>
    create(SendDirectRequestSchema, { recipientId, content: { kind: { case: "text", value: { body } } } });
  const passes = (recipientId: string, body?: string) =>
    quickCheck(SendDirectRequestSchema, request(recipientId, body));
  expect(passes("ü".repeat(64))).toBe(true);
  expect(passes(`${"ü".repeat(64)}b`)).toBe(false);
  expect(passes("")).toBe(false);
  expect(passes(" bob")).toBe(false);
  expect(passes("bob", "x".repeat(16_384))).toBe(true);
  expect(passes("bob", "x".repeat(16_385))).toBe(false);
  expect(quickCheck(SendDirectRequestSchema, create(SendDirectRequestSchema, { recipientId: "bob" }))).toBe(
    false,
  );
});
