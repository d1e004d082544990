import { create } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LoginRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { ownRules } from "../../src/rpc/validation.ts";
import { isUserId, userIdRule } from "../../wire/user-id.ts";
import { seed } from "../support/seed.ts";

const validator = createValidator({ registry: ownRules });

/** What the rule in the proto says. */
function isUserIdInProto(userId: string): boolean {
  const request = create(LoginRequestSchema, { credential: { case: "devUserId", value: userId } });
  return validator.validate(LoginRequestSchema, request).kind === "valid";
}

describe("a user id", () => {
  test.each([
    "a",
    "alice",
    "Alice",
    "alice@example.org",
    "../etc",
    "%00",
    "a b",
    "😀",
    "ü".repeat(64),
    "x".repeat(128),
  ])("may be %j", (userId) => {
    expect(isUserId(userId)).toBe(true);
    expect(isUserIdInProto(userId)).toBe(true);
  });

  test.each([
    "",
    " alice",
    "alice ",
    "alice\n",
    "al\nice",
    "al\u0000ice",
    "al\u0085ice",
    "\u00a0alice",
    "alice\u3000",
    "al\u2028ice",
    "al\u202eice",
    "\u200ealice",
    "ü".repeat(65),
    "x".repeat(129),
  ])("may not be %j", (userId) => {
    expect(isUserId(userId)).toBe(false);
    expect(isUserIdInProto(userId)).toBe(false);
  });

  test("may not hold half a surrogate pair", () => {
    expect(isUserId("a\ud800b")).toBe(false);
  });

  test("has the same rule in tokens as in requests", () => {
    const awkward = fc.constantFrom(
      " ",
      "\t",
      "\n",
      "\u0000",
      "\u007f",
      "\u00a0",
      "\u200e",
      "\u2028",
      "\u2066",
      "\ufeff",
      "é",
      "中",
      "😀",
      "a",
    );
    const ids = fc.oneof(
      fc.string({ unit: awkward, maxLength: 12 }),
      fc.string({ unit: "binary", maxLength: 140 }),
    );
    fc.assert(
      fc.property(ids, (userId) => isUserId(userId) === isUserIdInProto(userId)),
      { seed: seed(), numRuns: 2_000 },
    );
  });

  test("is described by the contract in the words that the server uses", () => {
    const request = create(LoginRequestSchema, { credential: { case: "devUserId", value: "" } });
    expect(validator.validate(LoginRequestSchema, request).violations).toMatchObject([
      { ruleId: "string.id", message: `must be ${userIdRule}` },
    ]);
  });
});
