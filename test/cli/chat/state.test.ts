import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { changeConversation } from "../../../clients/model/state.ts";
import { Store } from "../../../clients/model/store.ts";
import { addPage, loadingTimeline } from "../../../clients/model/timeline.ts";
import { rowsOfEntry } from "../../../clients/terminal/screen/entry-rows.ts";
import { rowWidth } from "../../../clients/terminal/screen/row.ts";
import { screenOf } from "../../../clients/terminal/screen/screen.ts";
import { look, scroll, type View } from "../../../clients/terminal/screen/viewport.ts";
import { Frames } from "../../../clients/terminal/state/frames.ts";
import { anchorOf, nameOf, shownOf, withAnchor } from "../../../clients/terminal/state/shown.ts";
import {
  changePane,
  emptyState,
  type Line,
  type TerminalState,
} from "../../../clients/terminal/state/terminal-state.ts";
import { TypingSchema } from "../../../gen/parlance/chat/v1/event_pb.js";
import { apply, conversation, direct, message, said, settings, team } from "../../clients/model/events.ts";

const empty = emptyState("alice", "here", "live", { columns: 80, rows: 24 });

/** Looks at a conversation, of which everything that was said is loaded from then on. */
const opened = (state: TerminalState): TerminalState => ({
  ...changeConversation(state, direct, (former) => ({
    ...former,
    timeline: addPage(loadingTimeline(), [], "none"),
  })),
  openId: direct,
});

describe("what is shown", () => {
  const line = (seq: number, text: string): Line => ({ kind: "line", seq, timeMs: 0, text, tone: "info" });
  const texts = (state: TerminalState) =>
    shownOf(state).map((each) => ("text" in each ? each.text : each.kind));

  test("has what the program says behind the message it came after, and what is on its way at the end", () => {
    let state = opened(apply(empty, said(1)));
    state = apply(state, said(2), said(3), said(4));
    state = changePane(state, direct, (pane) => ({
      ...pane,
      lines: [line(2, "one"), line(2, "two"), line(9, "end")],
    }));
    state = changeConversation(state, direct, (former) => ({
      ...former,
      outgoing: [{ kind: "outgoing", clientMessageId: "x", text: "hi", timeMs: 1, state: "sending" }],
    }));
    expect(texts(state)).toEqual(["text 2", "one", "two", "text 3", "text 4", "end", "hi"]);
    expect(texts({ ...state, openId: undefined })).toEqual([]);
  });

  test("is at the end again once what the reader had scrolled to is gone", () => {
    const state = apply(opened(apply(empty, said(1))), said(2), said(3));
    const [entry] = conversation(state).timeline?.entries ?? [];
    if (entry === undefined) throw new Error("no entry");
    const scrolled = withAnchor(state, { entry, row: 0 });
    expect(anchorOf(apply(scrolled, said(4)))).toEqual({ entry, row: 0 });
    expect(anchorOf(opened(scrolled))).toBeUndefined();
    expect(anchorOf(withAnchor(scrolled, undefined))).toBeUndefined();
  });

  test("names a group by its name, and a user by the id", () => {
    const state = apply(empty, said(1), settings(1));
    expect([nameOf(state, conversation(state)), nameOf(state, conversation(state, team))]).toEqual([
      "bob",
      "#The team",
    ]);
  });
});

describe("the window on a conversation", () => {
  const entries = Array.from({ length: 30 }, (_, i) => message(i + 1));
  const view: View = { entries, width: 40, height: 10, userId: "alice", peerReadSeq: 0 };
  const texts = (seen: View) =>
    look(seen).rows.map((row) =>
      row
        .map(({ text }) => text)
        .join("")
        .trim(),
    );

  test("is at the end, makes no other rows, and stays where it was scrolled to", () => {
    expect(texts(view).at(-1)).toContain("text 30");
    expect(look(view)).toMatchObject({ atTop: false });
    const anchor = scroll(view, -9);
    expect(texts({ ...view, anchor }).at(-1)).toContain("text 21");
    const grown = { ...view, anchor, entries: [message(0), ...entries, message(31)] };
    expect(texts(grown).at(-1)).toContain("text 21");
  });

  test("stops at both ends", () => {
    const top = { ...view, anchor: scroll(view, -1_000) };
    expect(look(top)).toMatchObject({ atTop: true });
    // The first row names the day.
    expect(texts(top)[0]).toContain("14 November 2023");
    expect(texts(top)[1]).toContain("text 1");
    expect(scroll(top, 1_000)).toBeUndefined();
    expect(scroll({ ...view, entries: [] }, -5)).toBeUndefined();
    expect(look({ ...view, entries: entries.slice(0, 3) })).toMatchObject({
      atTop: true,
      rows: { length: 4 },
    });
  });

  test("marks where the new messages begin, and days", () => {
    const tomorrow = { ...message(31), timeMs: message(31).timeMs + 86_400_000 };
    const rows = texts({ ...view, newAfter: 29, entries: [...entries, tomorrow] });
    expect(rows.filter((row) => row.includes(" new "))).toHaveLength(1);
    expect(rows.indexOf(rows.find((row) => row.includes(" new ")) ?? "")).toBe(
      rows.findIndex((row) => row.includes("text 30")) - 1,
    );
    expect(rows.at(-2)).toContain("15 November 2023");
  });

  test("wraps each entry once for a width", () => {
    const [entry] = entries;
    if (entry === undefined) throw new Error("no entry");
    expect(rowsOfEntry(entry, view)).toBe(rowsOfEntry(entry, view));
    expect(rowsOfEntry(entry, { ...view, width: 30 })).not.toBe(rowsOfEntry(entry, view));
  });

  test("fits every size, whatever names and texts there are", () => {
    const long = "\u001b[31m日本語👨‍👩‍👧 ".repeat(40);
    const group = `g:${"x".repeat(100)}`;
    const content = { kind: { case: "text" as const, value: { body: long } } };
    let state = apply(empty, said(1, "\u202E日本".repeat(10), { content }), said(2, "alice", { content }));
    state = apply(opened(state), said(3, "bob", { content }), said(4, "alice", { content }));
    state = apply(state, {
      case: "typing",
      value: create(TypingSchema, { conversationId: group, userId: "b", typing: true }),
      cursor: undefined,
    });
    for (const [columns, rows] of [
      [80, 24],
      [40, 10],
      [200, 60],
      [20, 5],
    ] as const) {
      const screen = screenOf({ ...state, size: { columns, rows }, editor: { text: long, cursor: 7 } });
      const { layout } = screen;
      expect(screen.body).toHaveLength(layout.bodyHeight);
      expect(3 + layout.bodyHeight + layout.inputHeight).toBe(Math.max(5, rows));
      for (const row of [screen.title, screen.typing, screen.status])
        expect(rowWidth(row)).toBeLessThanOrEqual(columns);
      for (const row of screen.list) expect(rowWidth(row)).toBe(layout.listWidth);
      for (const row of screen.body) expect(rowWidth(row)).toBeLessThanOrEqual(layout.bodyWidth);
      const all = [...screen.list, ...screen.body, screen.title].flat().map(({ text }) => text);
      expect(all.join("")).not.toMatch(/[\p{Cc}\u202E]/u);
    }
  });
});

test("a storm of changes is drawn at most twenty times a second, and its end always", async () => {
  const store = new Store(empty);
  const frames = new Frames(store);
  const drawn: string[] = [];
  frames.subscribe(() => drawn.push(frames.shown().hint ?? ""));
  const start = performance.now();
  for (let i = 1; i <= 2_000; i++) {
    store.update((state) => ({ ...state, hint: String(i) }));
    if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  while (drawn.at(-1) !== "2000") await new Promise((resolve) => setTimeout(resolve, 5));
  expect(drawn.length).toBeLessThanOrEqual(2 + (performance.now() - start) / 50);
  frames.close();
});
