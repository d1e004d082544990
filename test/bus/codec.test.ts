import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EnvelopeSchema } from "../../gen/parlance/cluster/v1/bus_pb.js";
import type { BusMessage, LogMessage, NoticeMessage } from "../../src/bus/bus.ts";
import { decodeAny, decodeMessage, encodeAny, encodeMessage } from "../../src/bus/nats/codec.ts";
import { decodeFrequent } from "../../src/bus/nats/frequent.ts";
import { everyMessage } from "../contracts/bus.ts";
import { seed } from "../support/seed.ts";

/** Without the character that stands for broken UTF-8: where it is, generated code has to look. */
const text = fc.string({ unit: "grapheme", maxLength: 80 }).map((chars) => chars.replaceAll("\ufffd", "?"));
const number = fc.oneof(
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  fc.integer({ min: 0, max: 300 }),
  fc.constantFrom(
    ...Array.from({ length: 7 }, (_, n) => 2 ** (7 * (n + 1))).flatMap((n) => [n - 1, n, n + 1]),
    Number.MAX_SAFE_INTEGER,
  ),
);
const log: fc.Arbitrary<LogMessage> = fc.record({
  type: fc.constant("log" as const),
  conversationId: text,
  seq: number,
  position: number,
  kind: fc.constantFrom(0, 1, 2, 3, 99, 0x7fffffff),
  frame: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
});
const limitedLog: fc.Arbitrary<LogMessage> = fc
  .record({
    log,
    audience: fc.record(
      { aboutSeq: number, userIds: fc.array(text, { maxLength: 3 }) },
      { requiredKeys: [] },
    ),
    withheld: fc.uint8Array({ maxLength: 30 }),
  })
  .map(({ log, audience, withheld }) => ({
    ...log,
    limited: { audience, withheldFrame: Buffer.from(withheld) },
  }));
const notice: fc.Arbitrary<NoticeMessage> = fc.record({
  type: fc.constant("notice" as const),
  firstPosition: number,
  subjects: fc.array(fc.array(text, { maxLength: 3 }), { maxLength: 20 }),
});

describe("a message", () => {
  test.each(Object.values(everyMessage))("of the kind $type is the same after its journey", (message) => {
    expect(decodeMessage(encodeMessage(message))).toEqual(message);
  });

  test("without what may be left out is the same after its journey", () => {
    const messages: BusMessage[] = [
      { type: "nodeQuery" },
      { type: "logout", id: 0, userId: "" },
      { type: "presenceQuery", userIds: [] },
      { type: "presence", userId: "a", instanceId: "", platforms: [], lastActiveMs: 0 },
      { type: "ephemeral", kind: 5, subject: "user.", frame: Buffer.alloc(0) },
    ];
    for (const message of messages) expect(decodeMessage(encodeMessage(message))).toEqual(message);
  });

  test("of the log or a notice has the bytes that generated code writes, and is read by both", () => {
    fc.assert(
      fc.property(fc.oneof(log, notice), (message) => {
        const bytes = encodeMessage(message);
        expect(Buffer.from(encodeAny(message)).equals(bytes)).toBe(true);
        expect(decodeFrequent(Buffer.from(bytes))).toEqual(message);
        expect(decodeAny(bytes)).toEqual(message);
      }),
      { seed: seed(), numRuns: 500 },
    );
  });

  test("tells whom an event is for, and what all others get", () => {
    fc.assert(
      fc.property(limitedLog, (message) => {
        expect(decodeMessage(encodeMessage(message, 5).subarray(0, -5))).toEqual(message);
      }),
      { seed: seed(), numRuns: 300 },
    );
  });

  test("does not keep the bytes it arrived in", () => {
    const arrived = Buffer.from(encodeMessage(everyMessage.log));
    const { frame } = decodeMessage(arrived) as LogMessage;
    arrived.fill(0xff);
    expect(frame).toEqual(everyMessage.log.frame);
  });
});

describe("a message of a later release", () => {
  test("of an unknown kind is told apart from garbage", () => {
    const bytes = new BinaryWriter()
      .tag(999, WireType.LengthDelimited)
      .fork()
      .uint32(8)
      .uint32(1)
      .join()
      .finish();
    expect(decodeMessage(bytes)).toBeUndefined();
    expect(decodeMessage(new Uint8Array())).toBeUndefined();
  });

  test("with an unknown kind of log event is passed on, and of what nothing keeps is passed over", () => {
    const unknown = { ...everyMessage.log, kind: 99 };
    expect(decodeMessage(encodeMessage(unknown))).toEqual(unknown);
    expect(decodeMessage(encodeMessage({ ...everyMessage.ephemeral, kind: 99 as 4 }))).toBeUndefined();
  });

  test("with further fields is read without them", () => {
    for (const message of [everyMessage.log, everyMessage.notice, everyMessage.opened]) {
      const known = create(EnvelopeSchema, { message: { case: undefined } });
      expect(toBinary(EnvelopeSchema, known)).toHaveLength(0);
      const [tag = 0] = encodeMessage(message);
      const inner = encodeMessage(message).subarray(2);
      const further = new BinaryWriter().tag(500, WireType.Varint).uint32(1).finish();
      const bytes = Buffer.from([tag, inner.length + further.length, ...inner, ...further]);
      expect(decodeMessage(bytes)).toEqual(message);
    }
  });
});

test("any bytes are a message, are of a later release, or are refused, as generated code says", () => {
  const changed = fc
    .tuple(fc.oneof(log, notice), fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat())
    .map(([message, place, byte, cut]) => {
      const bytes = Buffer.from(encodeMessage(message));
      bytes[place % bytes.length] = byte;
      return bytes.subarray(0, bytes.length - (cut % 3));
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), changed), (bytes) => {
      expect(outcomeOf(() => decodeMessage(bytes))).toEqual(outcomeOf(() => decodeAny(bytes)));
    }),
    { seed: seed(), numRuns: 3_000 },
  );
});

function outcomeOf(decode: () => BusMessage | undefined): unknown {
  try {
    return decode();
  } catch {
    return "refused";
  }
}
