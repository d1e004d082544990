import { expect, test } from "vitest";
import type { Message, Note, Timeline } from "../../../clients/model/state.ts";
import { addEntry, addPage, loadingTimeline, shortened } from "../../../clients/model/timeline.ts";
import { message } from "./events.ts";

const page = (from: number, to: number): Message[] =>
  Array.from({ length: to - from + 1 }, (_, index) => message(from + index));
const seqs = ({ entries }: Timeline) => entries.map(({ seq }) => seq);
const note = (seq: number): Note => ({
  kind: "note",
  seq,
  timeMs: 0,
  actorId: "bob",
  change: "settings",
  userIds: [],
});

test("events and pages that overlap in any order make a history without holes or repeats", () => {
  let timeline = addEntry(loadingTimeline(), message(12));
  timeline = addPage(timeline, page(5, 11), "more");
  for (const seq of [13, 12, 7, 14, 13]) timeline = addEntry(timeline, message(seq));
  expect(seqs(timeline)).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  timeline = addPage(timeline, page(1, 5), "none");
  expect(seqs(timeline)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
});

test("an event older than what is loaded waits for its page", () => {
  const timeline = addPage(loadingTimeline(), page(50, 60), "more");
  expect(addEntry(timeline, message(20))).toBe(timeline);
});

test("an event that comes before the first page, after a later one, is not lost", () => {
  const timeline = [message(9), message(8)].reduce(addEntry, loadingTimeline());
  expect(seqs(addPage(timeline, page(5, 7), "more"))).toEqual([5, 6, 7, 8, 9]);
});

test("changes of the group that were noted before come with the page they stand in", () => {
  const notes = [note(3), note(8)];
  const timeline = addPage(loadingTimeline(), [message(7), message(9)], "more", notes);
  expect(seqs(timeline)).toEqual([7, 8, 9]);
  expect(seqs(addPage(timeline, [message(4)], "none", notes))).toEqual([3, 4, 7, 8, 9]);
});

test("a very long history forgets its older half, which can be loaded again", () => {
  const long = addPage(loadingTimeline(), page(1, 4_001), "none");
  const short = shortened(long);
  expect(short).toMatchObject({ older: "more", from: 2_002, entries: { length: 2_000 } });
  expect(short.entries[0]?.seq).toBe(2_002);
  expect(short.id).not.toBe(long.id);
  expect(shortened(short)).toBe(short);
});
