import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import { Acks } from "../../clients/typescript/acks.ts";
import { type Cursor, CursorSchema } from "../../gen/parlance/chat/v1/cursor_pb.js";

function cursor(position: number): Cursor {
  return create(CursorSchema, { epoch: "e", position: BigInt(position) });
}

test("one acknowledgement stands for all events of 200 ms", () => {
  vi.useFakeTimers();
  try {
    const sent: bigint[] = [];
    const acks = new Acks({ send: ({ position }) => sent.push(position) > 0 });
    for (let i = 1; i <= 50; i++) acks.add(cursor(i));
    expect(sent).toEqual([]);
    vi.advanceTimersByTime(200);
    expect(sent).toEqual([50n]);
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test("200 events are acknowledged at once", () => {
  const sent: bigint[] = [];
  const acks = new Acks({ send: ({ position }) => sent.push(position) > 0 });
  for (let i = 1; i <= 400; i++) acks.add(cursor(i));
  expect(sent).toEqual([200n, 400n]);
});

test("what cannot be sent waits, and goes with the next", () => {
  const sent: bigint[] = [];
  let connected = false;
  const acks = new Acks({ send: ({ position }) => connected && sent.push(position) > 0 });
  acks.add(cursor(1));
  acks.flush();
  connected = true;
  acks.add(cursor(2));
  acks.flush();
  expect(sent).toEqual([2n]);
});

test("acknowledgements do not go back", () => {
  const acks = new Acks({ send: () => false });
  acks.add(cursor(5));
  acks.add(cursor(3));
  expect(acks.takeLatest()).toEqual(cursor(5));
  expect(acks.takeLatest()).toBeUndefined();
});
