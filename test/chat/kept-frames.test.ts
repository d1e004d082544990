import { expect, test } from "vitest";
import { keepFrames } from "../../src/live/kept-frames.ts";
import { EventKind, type LogEvent } from "../../wire/log-event.ts";

function eventAt(position: number, bodyBytes = 10): LogEvent {
  const body = new Uint8Array(bodyBytes).fill(position);
  return {
    position,
    conversationId: "g:g",
    seq: position,
    kind: EventKind.MESSAGE,
    senderId: "a",
    acceptTimeMs: 1,
    body,
  };
}

test("an event that is framed again soon is encoded once, and gets its own frame whatever came between", () => {
  let encoded = 0;
  const frame = keepFrames((event) => {
    encoded++;
    return new Uint8Array([event.position % 251, event.body.length]);
  });
  const first = frame(eventAt(1));
  for (let position = 2; position <= 4_096; position++) frame(eventAt(position));
  expect(encoded).toBe(4_096);
  expect(frame(eventAt(1))).toBe(first);
  expect(encoded).toBe(4_096);
  // Another position in the same place takes it over.
  frame(eventAt(4_097));
  expect(frame(eventAt(1))).toEqual(first);
  expect(encoded).toBe(4_098);
});

test("a large frame is not kept", () => {
  let encoded = 0;
  const frame = keepFrames((event) => {
    encoded++;
    return event.body;
  });
  frame(eventAt(7, 4_097));
  frame(eventAt(7, 4_097));
  expect(encoded).toBe(2);
});
