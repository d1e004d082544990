import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, test } from "vitest";
import { StreamResponseSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { ContentSchema, SendOptionsSchema } from "../../gen/parlance/chat/v1/content_pb.js";
import {
  GroupSchema,
  JoinPolicy,
  MembershipChange,
  MembershipChangedSchema,
  Role,
} from "../../gen/parlance/chat/v1/group_pb.js";
import { createLogFramer } from "../../src/chat/log-frame.ts";
import { decodeMessage, encodeDraft } from "../../src/chat/messages-codec.ts";
import { WireWriter } from "../../src/chat/wire-writer.ts";
import { EventKind, type LogEvent } from "../../src/store/store.ts";
import { seed } from "../support/seed.ts";

const maxNumber = 2 ** 52 - 1;
const words = fc.string({ unit: "grapheme", maxLength: 40 });
const salt = fc.integer({ min: 0, max: 0xffffffff });
/** Numbers of every size, with those where a varint gets longer. */
const number = fc.oneof(
  fc.integer({ min: 1, max: maxNumber }),
  fc.constantFrom(
    ...Array.from({ length: 7 }, (_, n) => 2 ** (7 * (n + 1))).flatMap((n) => [n - 1, n, n + 1]),
  ),
  fc.constantFrom(2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, maxNumber),
);
/** Times before, at and after the turn of a second, up to the year 3000. */
const timeMs = fc.oneof(
  fc.integer({ min: 0, max: 32_503_680_000_000 }),
  fc
    .tuple(fc.integer({ min: 0, max: 32_503_680_000 }), fc.constantFrom(0, 1, 127, 128, 999))
    .map(([seconds, ms]) => seconds * 1000 + ms),
);

const draftBody = fc
  .record({
    senderId: words,
    target: fc.oneof(
      words.map((value) => ({ case: "recipientId" as const, value })),
      words.map((value) => ({ case: "groupId" as const, value })),
    ),
    text: words,
    clientMessageId: words,
    labels: fc.dictionary(words, words, { maxKeys: 5 }),
    mentionUserIds: fc.array(words, { maxLength: 3 }),
    mentionAll: fc.boolean(),
    silent: fc.boolean(),
    padding: fc.constantFrom(0, 1, 90, 200, 16_000),
  })
  .map(({ text, padding, senderId, target, clientMessageId, ...options }) =>
    encodeDraft(
      {
        conversationId: `c:${senderId}`,
        senderId,
        target,
        clientMessageId,
        content: create(ContentSchema, {
          kind: { case: "text", value: { body: text + "x".repeat(padding) } },
        }),
        options: create(SendOptionsSchema, options),
      },
      new WireWriter(),
    ),
  );

const place = { position: number, seq: number, acceptTimeMs: timeMs };
const messageEvent: fc.Arbitrary<LogEvent> = fc.record({
  ...place,
  conversationId: words,
  senderId: words,
  kind: fc.constant(EventKind.MESSAGE),
  body: draftBody,
});
const membership = fc
  .record({ groupId: words, userIds: fc.array(words, { maxLength: 4 }), seq: number, timeMs })
  .map(({ groupId, userIds, seq, timeMs }) =>
    create(MembershipChangedSchema, {
      groupId,
      seq: BigInt(seq),
      change: MembershipChange.ADDED,
      members: userIds.map((userId) => ({ userId, role: Role.MEMBER })),
      acceptTime: timestampFromMs(timeMs),
    }),
  );
const groupSettings = fc
  .record({
    groupId: words,
    name: words,
    seq: number,
    attributes: fc.dictionary(words, words, { maxKeys: 4 }),
  })
  .map(({ seq, ...fields }) =>
    create(GroupSchema, { ...fields, seq: BigInt(seq), joinPolicy: JoinPolicy.OPEN }),
  );

/** Reads a frame as any client does. */
const decode = (frame: Uint8Array) => fromBinary(StreamResponseSchema, frame).events;

test("the frame of a message decodes to the message that the history gives", () => {
  fc.assert(
    fc.property(messageEvent, salt, words, (event, salt, epoch) => {
      const [decoded, ...others] = decode(createLogFramer(epoch, salt)(event));
      expect(others).toEqual([]);
      expect(decoded?.cursor).toMatchObject({ epoch, position: BigInt(event.position) });
      expect(decoded?.requestId).toBe("");
      expect(decoded?.event).toEqual({ case: "message", value: decodeMessage(event, salt) });
    }),
    { seed: seed(), numRuns: 1_000 },
  );
});

test("the frames of membership and group events decode to what is stored, with the cursor", () => {
  fc.assert(
    fc.property(membership, groupSettings, number, salt, (membership, settings, position, salt) => {
      const frame = createLogFramer("epoch", salt);
      const event = { conversationId: "g:x", seq: 1, senderId: "a", acceptTimeMs: 0 };
      const [changed] = decode(
        frame({
          ...event,
          position,
          kind: EventKind.MEMBERSHIP,
          body: toBinary(MembershipChangedSchema, membership),
        }),
      );
      expect(changed?.event).toEqual({ case: "membershipChanged", value: membership });
      expect(changed?.cursor?.position).toBe(BigInt(position));
      const [set] = decode(
        frame({ ...event, position, kind: EventKind.GROUP, body: toBinary(GroupSchema, settings) }),
      );
      expect(set?.event).toEqual({ case: "groupChanged", value: settings });
    }),
    { seed: seed(), numRuns: 300 },
  );
});

test("frames put one after another decode as that many events, in order", () => {
  fc.assert(
    fc.property(fc.array(messageEvent, { maxLength: 8 }), salt, (events, salt) => {
      const frame = createLogFramer("0123456789abcdef", salt);
      const decoded = decode(Buffer.concat(events.map(frame)));
      expect(decoded.map(({ event }) => event.value)).toEqual(
        events.map((event) => decodeMessage(event, salt)),
      );
      expect(decoded.map(({ cursor }) => Number(cursor?.position))).toEqual(
        events.map(({ position }) => position),
      );
    }),
    { seed: seed(), numRuns: 300 },
  );
});
