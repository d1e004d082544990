import { expect, test } from "vitest";
import type { Message, Timeline } from "../../clients/web/state/model.ts";
import { addEntry, addPage, loadingTimeline } from "../../clients/web/state/timeline.ts";
import { initials, inline, visible } from "../../clients/web/ui/text.ts";

function message(seq: number): Message {
  return { kind: "message", seq, senderId: "a", text: String(seq), timeMs: seq, clientMessageId: "" };
}

const page = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => message(from + index));
const seqs = ({ entries }: Timeline) => entries.map(({ seq }) => seq);

test("events and pages that overlap in any order make a history without holes or repeats", () => {
  let timeline = addEntry(loadingTimeline(), message(12));
  timeline = addPage(timeline, page(5, 11), false);
  for (const seq of [13, 12, 7, 14, 13]) timeline = addEntry(timeline, message(seq));
  expect(seqs(timeline)).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  timeline = addPage(timeline, page(1, 5), true);
  expect(seqs(timeline)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
});

test("an event older than what is loaded waits for its page", () => {
  const timeline = addPage(loadingTimeline(), page(50, 60), false);
  expect(addEntry(timeline, message(20))).toBe(timeline);
});

test("control characters become symbols, and names stay on their line", () => {
  expect(visible("a\u001b[0m\u007f\u0085\tb\nc\r\nd")).toBe("a␛[0m␡\ufffd\tb\nc\nd");
  expect(inline(" a\u202e\n\u2066b\u0000 ")).toBe("a b␀");
  expect([initials("Nora Lind"), initials("bob"), initials("…"), initials("😀 x")]).toEqual([
    "NL",
    "B",
    "?",
    "X",
  ]);
});
