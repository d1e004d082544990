import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { event, opened, reply } from "../../bench/floor/wire.ts";
import { alternate, rowOf } from "../../bench/lib/pairs.ts";
import { EventCounts } from "../../bench/load/events.ts";
import { MessageReader } from "../../bench/load/message-reader.ts";
import { MessageIds, SendFrames } from "../../bench/load/sends.ts";
import { StreamResponseSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";

test("messages are read whole, however the bytes are torn", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }),
      fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }),
      (messages, sizes) => {
        const read: Buffer[] = [];
        const reader = new MessageReader((buffer, start, end) => {
          read.push(Buffer.from(buffer.subarray(start, end)));
        });
        const bytes = Buffer.concat(
          messages.map((message) => {
            const prefix = Buffer.alloc(5);
            prefix.writeUInt32BE(message.length, 1);
            return Buffer.concat([prefix, message]);
          }),
        );
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = sizes[i % sizes.length] as number;
          // What is read into is used again for what comes next.
          const piece = Buffer.from(bytes.subarray(at, at + size));
          reader.read(piece, 0, piece.length);
          piece.fill(0xff);
          at += size;
        }
        expect(read).toEqual(messages.map((message) => Buffer.from(message)));
      },
    ),
  );
});

test("events are counted by what they are, many in one message", () => {
  const counts = new EventCounts();
  const bytes = Buffer.concat([opened, event, reply, event, event]);
  counts.add(bytes, 0, bytes.length);
  expect({ ...counts }).toEqual({ log: 3, replies: 2, caughtUp: 1 });
});

test("a refused request is an error that says why", () => {
  const refused = create(StreamResponseSchema, {
    events: [
      {
        requestId: "1",
        event: { case: "refusal", value: { status: { code: 5, message: "no such group" } } },
      },
    ],
  });
  const bytes = Buffer.from(toBinary(StreamResponseSchema, refused));
  expect(() => new EventCounts().add(bytes, 0, bytes.length)).toThrow("the server refused: no such group");
});

test("the ids of messages differ and rise", () => {
  const ids = new MessageIds();
  const made = Array.from({ length: 1_000 }, () => ids.next());
  expect(new Set(made).size).toBe(1_000);
  expect(made.toSorted()).toEqual(made);
});

test("frames of sends differ in their ids alone", () => {
  const frames = SendFrames.forStream({ recipientId: "bob" }, new MessageIds(0));
  const [first, second] = [frames.next().toString("latin1"), frames.next().toString("latin1")];
  expect(first).not.toBe(second);
  expect(first?.replaceAll("00000001", "00000002")).toBe(second);
});

test("a ratio is the median of those of the pairs", async () => {
  const ours = [10, 30, 20].values();
  const floor = [10, 10, 4].values();
  const pairs = await alternate(
    3,
    async () => ({ value: ours.next().value as number }),
    async () => ({ value: floor.next().value as number }),
  );
  const row = rowOf(pairs, {
    name: "a",
    unit: "µs",
    target: "≤ 2 ×",
    reaches: ({ ratio }) => ratio <= 2,
  });
  expect(row).toMatchObject({ ours: 20, floor: 10, ratio: 3, ratio_min: 1, ratio_max: 5, met: false });
});
