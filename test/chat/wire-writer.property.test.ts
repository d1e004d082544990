import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  SendDirectResponseSchema,
  SendGroupResponseSchema,
  StreamResponseSchema,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { ContentSchema } from "../../gen/parlance/chat/v1/content_pb.js";
import { ChatMessageSchema } from "../../gen/parlance/chat/v1/message_pb.js";
import { sendResultOf } from "../../src/chat/sends.ts";
import { encodeDraft } from "../../wire/fast/message.ts";
import { encodeSendResponse, encodeSent } from "../../wire/fast/sent.ts";
import { WireWriter } from "../../wire/writer.ts";
import { seed } from "../support/seed.ts";

/** One for all, as in the server: what one message leaves behind must not show in the next. */
const writer = new WireWriter();
/** Texts of every kind and length, those around where a length takes another byte among them. */
const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc.constantFrom(0, 1, 63, 64, 126, 127, 128, 129, 16_383, 16_384, 40_000).map((size) => "x".repeat(size)),
  fc.constantFrom(42, 43, 63, 64).map((size) => "ü".repeat(size)),
);
const number = fc.oneof(
  fc.integer({ min: 1, max: 2 ** 53 - 1 }),
  fc.constantFrom(1, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32),
);
const content = fc.oneof(
  text.map((body) => ({ kind: { case: "text" as const, value: { body } } })),
  fc.record({ kind: text.map((body) => ({ case: "text" as const, value: { body } })), fallbackText: text }),
  text.map((body) => ({
    kind: { case: "text" as const, value: { body, entities: [{ start: 0, length: 1 }] } },
  })),
  fc.uint8Array({ maxLength: 300 }).map((value) => ({
    kind: { case: "custom" as const, value: { typeUrl: "example.com/x", value } },
  })),
);

test("a stored message is, byte for byte, what the library would have written", () => {
  fc.assert(
    fc.property(text, text, fc.boolean(), text, content, (conversationId, senderId, direct, id, init) => {
      const target = { case: direct ? ("recipientId" as const) : ("groupId" as const), value: senderId };
      const message = { conversationId, senderId, target, clientMessageId: id };
      fc.pre(conversationId !== "" && senderId !== "");
      const written = encodeDraft(
        { ...message, content: create(ContentSchema, init), options: undefined },
        writer,
      );
      const expected = toBinary(ChatMessageSchema, create(ChatMessageSchema, { ...message, content: init }));
      expect(Buffer.from(written).equals(expected)).toBe(true);
    }),
    { seed: seed(), numRuns: 500 },
  );
});

test("the reply to a send is, byte for byte, what the library would have written", () => {
  fc.assert(
    fc.property(
      fc.record({
        messageId: text,
        conversationId: text,
        clientMessageId: text,
        appended: fc.record({
          seq: number,
          position: number,
          acceptTimeMs: fc.integer({ min: 0, max: 32_503_680_000_000 }),
          duplicate: fc.boolean(),
        }),
        bytes: number,
      }),
      text,
      (sent, requestId) => {
        fc.pre(sent.messageId !== "" && sent.conversationId !== "");
        const event = { case: "sent" as const, value: sendResultOf(sent) };
        const expected = toBinary(
          StreamResponseSchema,
          create(StreamResponseSchema, { events: [{ requestId, event }] }),
        );
        expect(Buffer.from(encodeSent(sent, requestId, writer)).equals(expected)).toBe(true);
        for (const schema of [SendDirectResponseSchema, SendGroupResponseSchema]) {
          const response = toBinary(schema, create(schema, { result: event.value }));
          expect(Buffer.from(encodeSendResponse(sent, writer)).equals(response)).toBe(true);
        }
        expect(timestampFromMs(sent.appended.acceptTimeMs)).toEqual(event.value.acceptTime);
      },
    ),
    { seed: seed(), numRuns: 500 },
  );
});
