import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import {
  ChatService,
  SendDirectRequestSchema,
  StreamRequestSchema,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { GroupService } from "../../gen/parlance/chat/v1/group_service_pb.js";
import { ErrorReason } from "../../src/model/errors.ts";
import { createRequestValidator } from "../../src/rpc/validation.ts";
import { userIdRule } from "../../wire/user-id.ts";

const validator = createRequestValidator();
const controlCharacters = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

function text(body: string) {
  return { kind: { case: "text" as const, value: { body } } };
}

/** The violations of a direct message, as `field rule` each. */
function broken(
  init: Parameters<typeof create<typeof SendDirectRequestSchema>>[1],
): Array<{ field: string; rule: string; description: string }> {
  try {
    validator.validate(SendDirectRequestSchema, create(SendDirectRequestSchema, init));
    return [];
  } catch (error) {
    expect(error).toMatchObject({ name: "ChatError", reason: ErrorReason.INVALID_REQUEST });
    return (error as { details: { violations: Array<{ field: string; rule: string; description: string }> } })
      .details.violations;
  }
}

test("a request within the rules passes", () => {
  expect(broken({ recipientId: "bo", content: text("hi"), clientMessageId: "1" })).toEqual([]);
});

describe("a violation", () => {
  test.each([
    ["recipient_id", "string.id", { recipientId: "", content: text("hi") }],
    ["recipient_id", "string.id", { recipientId: "b".repeat(129), content: text("hi") }],
    ["content", "required", { recipientId: "bo" }],
    ["content.kind", "required", { recipientId: "bo", content: {} }],
    ["content.text.body", "string.min_bytes", { recipientId: "bo", content: text("") }],
    ["content.text.body", "string.max_bytes", { recipientId: "bo", content: text("é".repeat(8_193)) }],
    [
      "options.mention_user_ids[1]",
      "string.id",
      { recipientId: "bo", content: text("hi"), options: { mentionUserIds: ["a", " b"] } },
    ],
    [
      'options.labels["k"]',
      "string.max_bytes",
      { recipientId: "bo", content: text("hi"), options: { labels: { k: "v".repeat(257) } } },
    ],
    [
      "options.reply_to_message_id",
      "string.uuid",
      { recipientId: "bo", content: text("hi"), options: { replyToMessageId: "x" } },
    ],
  ] as const)("names the field %s as in the proto, and the rule %s", (field, rule, init) => {
    expect(broken(init as Parameters<typeof broken>[0])).toContainEqual(
      expect.objectContaining({ field, rule }),
    );
  });

  test("names its field within the request of a stream", () => {
    const request = create(StreamRequestSchema, {
      request: { case: "sendDirect", value: { recipientId: "bo", content: text("") } },
    });
    expect(() => validator.validate(StreamRequestSchema, request)).toThrow(
      "send_direct.content.text.body: must be at least 1 bytes",
    );
  });

  test.each([
    "",
    "é".repeat(65),
    "b\0o",
    " bo",
    "bo\n",
    "\u202ebo",
    "b\u2066o",
    "bo\u00a0",
    "b\u2028o",
    "../\u0007",
  ])("of an id such as %j says what an id is, without the expression", (recipientId) => {
    expect(broken({ recipientId, content: text("hi") })).toEqual([
      {
        field: "recipient_id",
        rule: "string.id",
        description: `must be ${userIdRule}`,
      },
    ]);
  });

  test.each(["javascript:alert(1)", "/relative", "https://a b", "data:text/html,x"])(
    "of a link to %j says what a link is",
    (url) => {
      const entities = [{ start: 0, length: 1, format: { case: "url" as const, value: url } }];
      const content = { kind: { case: "text" as const, value: { body: "x", entities } } };
      expect(broken({ recipientId: "bo", content })).toEqual([
        {
          field: "content.text.entities[0].url",
          rule: "string.pattern",
          description: "must be an absolute http, https or mailto URL",
        },
      ]);
    },
  );

  test("has no control characters in its text", () => {
    const violations = broken({
      recipientId: "\u202e",
      options: { mentionUserIds: ["\n"], labels: { "": "" } },
    });
    expect(violations.length).toBeGreaterThan(3);
    for (const { description } of violations) expect(description).not.toMatch(controlCharacters);
  });
});

test("ids may hold what other systems use in theirs", () => {
  for (const recipientId of [
    "bo@example.com",
    "../../etc/passwd",
    "%00",
    "Zoë Müller",
    "用户",
    "👩‍👩‍👧",
    "b".repeat(128),
  ]) {
    expect(broken({ recipientId, content: text("hi") })).toEqual([]);
  }
});

test("after warming, the first request of a stream is checked as fast as any", () => {
  // One that the library has to check, as not all of its rules are checked at a glance.
  const request = create(StreamRequestSchema, {
    request: {
      case: "sendDirect",
      value: { recipientId: "bo", content: text("hi"), options: { mentionUserIds: ["ada"] } },
    },
  });
  const firstMs = (warm: boolean) => {
    const validator = createRequestValidator();
    if (warm) validator.warm([ChatService, GroupService]);
    const startMs = performance.now();
    validator.validate(StreamRequestSchema, request);
    return performance.now() - startMs;
  };
  // The best of some, which is what it takes where nothing else runs meanwhile.
  const best = (warm: boolean) => Math.min(...Array.from({ length: 5 }, () => firstMs(warm)));
  expect(best(true)).toBeLessThan(best(false) / 2);
});
