import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
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
import { eventKindOf, fieldOf } from "../../wire/event-field.ts";
import { createLogFramer } from "../../wire/event-frame.ts";
import { decodeMessage, encodeDraft } from "../../wire/fast/message.ts";
import { EventKind, type LogEvent } from "../../wire/log-event.ts";
import { WireWriter } from "../../wire/writer.ts";
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
const varint = (value: number) => [...new BinaryWriter().uint32(value).finish()];
/** The bytes of a field's value, its length in front, as a reader keeps what it does not know. */
const bytesOfValue = (field: Uint8Array) => {
  const head = new BinaryReader(field);
  head.tag();
  return Buffer.from(field.subarray(head.pos));
};
const laterEvent: fc.Arbitrary<LogEvent> = fc.record({
  ...place,
  conversationId: words,
  senderId: words,
  kind: fc.integer({ min: 4, max: 1_000 }),
  body: fc
    .tuple(fc.integer({ min: 1_000, max: 5_000 }), fc.uint8Array({ maxLength: 300 }))
    .map(([field, value]) => new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(value).finish()),
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

/** What a frame says of where its event stands. */
const placeOf = ({ conversationId, seq, acceptTimeMs }: LogEvent) => ({
  conversationId,
  seq: BigInt(seq),
  acceptTime: timestampFromMs(acceptTimeMs),
});

/** Reads a frame as any client does. */
const decode = (frame: Uint8Array) => fromBinary(StreamResponseSchema, frame).events;

test("the frame of a message decodes to the message that the history gives", () => {
  fc.assert(
    fc.property(messageEvent, salt, words, (event, salt, epoch) => {
      const [decoded, ...others] = decode(createLogFramer(epoch, salt)(event));
      expect(others).toEqual([]);
      expect(decoded?.cursor).toMatchObject({ epoch, position: BigInt(event.position) });
      expect(decoded?.requestId).toBe("");
      expect(decoded).toMatchObject(placeOf(event));
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

test("a frame passes the field of a kind that nobody knows on as it is, behind the event's place", () => {
  fc.assert(
    fc.property(laterEvent, salt, (event, salt) => {
      const [decoded] = decode(createLogFramer("epoch", salt)(event));
      expect(decoded).toMatchObject({ ...placeOf(event), event: { case: undefined } });
      expect(decoded?.$unknown?.map(({ no, data }) => ({ no, data: Buffer.from(data) }))).toEqual([
        { no: fieldOf(event.kind, event.body)?.number, data: bytesOfValue(event.body) },
      ]);
    }),
    { seed: seed(), numRuns: 500 },
  );
});

test("a message of a later kind gets its id, its seq and its time as any other", () => {
  fc.assert(
    fc.property(messageEvent, salt, (event, salt) => {
      const body = new BinaryWriter().tag(9, WireType.LengthDelimited).bytes(event.body).finish();
      const frame = createLogFramer("epoch", salt);
      expect(frame({ ...event, kind: 10, body })).toEqual(frame(event));
      expect(eventKindOf(10, body)).toBe(EventKind.MESSAGE);
    }),
    { seed: seed(), numRuns: 300 },
  );
});

test("of a body that is not one field a frame says nothing but where the event stands", () => {
  fc.assert(
    fc.property(laterEvent, fc.uint8Array({ maxLength: 12 }), salt, (event, garbage, salt) => {
      fc.pre(fieldOf(99, garbage) === undefined);
      const [decoded] = decode(createLogFramer("epoch", salt)({ ...event, body: garbage }));
      expect(decoded).toMatchObject({ ...placeOf(event), event: { case: undefined } });
      expect(decoded?.$unknown).toBeUndefined();
    }),
    { seed: seed(), numRuns: 500 },
  );
});

test("a body that is a field of something else than log events is passed on to nobody", () => {
  const frame = createLogFramer("epoch", 1);
  const place = { position: 5, seq: 3, conversationId: "g:x", senderId: "a", acceptTimeMs: 1_000, kind: 99 };
  for (const field of [0, 1, 2, 3, 8, 10, 17, 20, 22, 100]) {
    const body = new Uint8Array([...varint(field * 8 + 2), 1, 0]);
    expect(fieldOf(99, body)).toBeUndefined();
    expect(decode(frame({ ...place, body }))).toMatchObject([
      {
        cursor: { epoch: "epoch", position: 5n },
        conversationId: "g:x",
        seq: 3n,
        event: { case: undefined },
      },
    ]);
  }
});

test("by which kind sessions choose an event follows from its field", () => {
  const chosen = (field: number) =>
    eventKindOf(99, new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(new Uint8Array()).finish());
  expect([9, 11, 12, 107, 108, 109, 112, 113, 120, 199].map(chosen)).toEqual([
    ...[1, 2, 3, 7, 8, 9, 12, 7, 20, 99],
  ]);
  expect(eventKindOf(99, new Uint8Array([1, 2, 3]))).toBe(0);
  expect(chosen(5)).toBe(0);
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
