import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { rowsOfEntry } from "../../../clients/terminal/screen/entry-rows.ts";
import { rowWidth } from "../../../clients/terminal/screen/row.ts";
import { screenOf } from "../../../clients/terminal/screen/screen.ts";
import { look, scroll, type View } from "../../../clients/terminal/screen/viewport.ts";
import { listed } from "../../../clients/terminal/state/conversations.ts";
import {
  applyEvent,
  nextStaleTyping,
  withoutStaleTyping,
  withSent,
} from "../../../clients/terminal/state/events.ts";
import {
  type ChatState,
  type Conversation,
  changeConversation,
  emptyState,
  type Message,
} from "../../../clients/terminal/state/model.ts";
import { Store } from "../../../clients/terminal/state/store.ts";
import {
  addEntry,
  addPage,
  entriesOf,
  loadingTimeline,
  shortened,
} from "../../../clients/terminal/state/timeline.ts";
import type { ClientEvent } from "../../../clients/typescript/index.ts";
import { MembershipChange } from "../../../clients/typescript/index.ts";
import { ReceiptSchema } from "../../../gen/parlance/chat/v1/conversation_pb.js";
import { TypingSchema } from "../../../gen/parlance/chat/v1/event_pb.js";
import { MembershipChangedSchema } from "../../../gen/parlance/chat/v1/group_pb.js";
import { ChatMessageSchema } from "../../../gen/parlance/chat/v1/message_pb.js";

const id = "d:alice:bob";
const empty = emptyState("alice", "here", "live", { columns: 80, rows: 24 });

function message(seq: number, senderId = "bob", body = `text ${seq}`, clientMessageId = ""): ClientEvent {
  const value = create(ChatMessageSchema, {
    conversationId: id,
    seq: BigInt(seq),
    senderId,
    clientMessageId,
    content: { kind: { case: "text", value: { body } } },
    acceptTime: { seconds: BigInt(1_700_000_000 + seq) },
  });
  return { case: "message", value, cursor: undefined };
}

function shown(seq: number, text = `text ${seq}`): Message {
  const timeMs = Date.parse("2026-11-24T12:00:00Z") + seq * 1_000;
  return { kind: "message", seq, senderId: "bob", text, timeMs, clientMessageId: "" };
}

function apply(state: ChatState, ...events: ClientEvent[]): ChatState {
  return events.reduce((former, event) => applyEvent(former, event, 1_000), state);
}

function conversation(state: ChatState): Conversation {
  const found = state.conversations.get(id);
  if (found === undefined) throw new Error("there is no conversation");
  return found;
}

const seqs = (state: ChatState) => conversation(state).timeline?.entries.map(({ seq }) => seq);
const opened = (state: ChatState) =>
  changeConversation(state, id, (former) => ({ ...former, timeline: loadingTimeline() }));

describe("events", () => {
  test("of others count as unread once, also when they come again", () => {
    const state = apply(empty, message(1), message(2), message(2), message(3, "alice"), message(1));
    expect(conversation(state)).toMatchObject({ unread: 2, lastSeq: 3 });
  });

  test("keep the order of seq in whatever order they come, each once", () => {
    const base = opened(apply(empty, message(1)));
    expect(seqs(apply(base, message(2), message(5), message(3), message(5), message(4)))).toEqual([
      2, 3, 4, 5,
    ]);
  });

  test("turn what was on its way into a message, whether answer or event comes first", () => {
    const outgoing = {
      kind: "outgoing",
      clientMessageId: "x",
      text: "hi",
      timeMs: 1,
      state: "sending",
    } as const;
    const sending = changeConversation(opened(apply(empty, message(1))), id, (former) => ({
      ...former,
      outgoing: [outgoing],
    }));
    const answer = { ...shown(2, "hi"), senderId: "alice", clientMessageId: "x" };
    const answered = changeConversation(sending, id, (former) => withSent(former, answer));
    for (const state of [
      apply(answered, message(2, "alice", "hi", "x")),
      changeConversation(apply(sending, message(2, "alice", "hi", "x")), id, (former) =>
        withSent(former, answer),
      ),
    ]) {
      expect(entriesOf(conversation(state))).toMatchObject([{ kind: "message", seq: 2, text: "hi" }]);
      expect(conversation(state).unread).toBe(1);
    }
  });

  test("tell how far the other has read, and what this user has read elsewhere", () => {
    const receipt = (userId: string, upToSeq: bigint): ClientEvent => ({
      case: "receipt",
      value: create(ReceiptSchema, { conversationId: id, userId, upToSeq }),
      cursor: undefined,
    });
    const state = apply(empty, message(1), message(2), receipt("bob", 2n), receipt("bob", 1n));
    expect(conversation(state)).toMatchObject({ peerReadSeq: 2, unread: 2 });
    expect(conversation(apply(state, receipt("alice", 2n)))).toMatchObject({ readSeq: 2, unread: 0 });
  });

  test("show typing for six seconds, or until the message", () => {
    const typing: ClientEvent = {
      case: "typing",
      value: create(TypingSchema, { conversationId: id, userId: "bob", typing: true }),
      cursor: undefined,
    };
    const state = apply(empty, message(1), typing);
    expect(nextStaleTyping(state)).toBe(7_000);
    expect(conversation(withoutStaleTyping(state, 6_999)).typing.has("bob")).toBe(true);
    expect(conversation(withoutStaleTyping(state, 7_000)).typing.size).toBe(0);
    expect(conversation(apply(state, message(2))).typing.size).toBe(0);
  });

  test("that end the membership take a group off the list unless it is open", () => {
    const change = (what: MembershipChange): ClientEvent => ({
      case: "membershipChanged",
      value: create(MembershipChangedSchema, {
        conversationId: "g:team",
        groupId: "team",
        seq: BigInt(what),
        change: what,
        actorId: "bob",
        members: [{ userId: "alice" }],
        memberCount: 2,
      }),
      cursor: undefined,
    });
    const added = apply(empty, change(MembershipChange.ADDED));
    expect(listed(added)).toMatchObject([{ id: "g:team", memberCount: 2 }]);
    const removed = apply(added, change(MembershipChange.REMOVED));
    expect(listed(removed)).toEqual([]);
    expect(listed({ ...removed, openId: "g:team" })).toMatchObject([{ left: true }]);
  });
});

describe("a timeline", () => {
  test("takes pages in before what is there, without repeats", () => {
    const live = addEntry(loadingTimeline(), shown(7));
    const paged = addPage(
      live,
      [5, 6, 7].map((seq) => shown(seq)),
      "more",
    );
    expect(paged).toMatchObject({ older: "more", entries: [{ seq: 5 }, { seq: 6 }, { seq: 7 }] });
    expect(addEntry(paged, shown(2))).toBe(paged);
    expect(addPage(paged, [shown(3)], "none").entries.map(({ seq }) => seq)).toEqual([3, 5, 6, 7]);
  });

  test("keeps what the program says behind the message it came after", () => {
    const notice = { kind: "notice", seq: 1, timeMs: 0, text: "help", tone: "info" } as const;
    const state = [shown(1), notice, notice, shown(2)].reduce(addEntry, loadingTimeline());
    expect(state.entries.map(({ kind }) => kind)).toEqual(["message", "notice", "notice", "message"]);
  });

  test("that is very long forgets its older half, which can be loaded again", () => {
    const long = addPage(
      loadingTimeline(),
      Array.from({ length: 4_001 }, (_, i) => shown(i + 1)),
      "none",
    );
    const short = shortened(long);
    expect(short).toMatchObject({ older: "more" });
    expect(short.entries).toHaveLength(2_000);
    expect(short.entries[0]?.seq).toBe(2_002);
    expect(short.id).not.toBe(long.id);
  });
});

describe("the window on a conversation", () => {
  const entries = Array.from({ length: 30 }, (_, i) => shown(i + 1));
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
    const grown = { ...view, anchor, entries: [shown(0), ...entries, shown(31)] };
    expect(texts(grown).at(-1)).toContain("text 21");
  });

  test("stops at both ends", () => {
    const top = { ...view, anchor: scroll(view, -1_000) };
    expect(look(top)).toMatchObject({ atTop: true });
    // The first row names the day.
    expect(texts(top)[0]).toContain("24 November 2026");
    expect(texts(top)[1]).toContain("text 1");
    expect(scroll(top, 1_000)).toBeUndefined();
    expect(scroll({ ...view, entries: [] }, -5)).toBeUndefined();
    expect(look({ ...view, entries: entries.slice(0, 3) })).toMatchObject({
      atTop: true,
      rows: { length: 4 },
    });
  });

  test("marks where the new messages begin, and days", () => {
    const tomorrow = { ...shown(31), timeMs: shown(31).timeMs + 86_400_000 };
    const rows = texts({ ...view, newAfter: 29, entries: [...entries, tomorrow] });
    expect(rows.filter((row) => row.includes(" new "))).toHaveLength(1);
    expect(rows.indexOf(rows.find((row) => row.includes(" new ")) ?? "")).toBe(
      rows.findIndex((row) => row.includes("text 30")) - 1,
    );
    expect(rows.at(-2)).toContain("25 November 2026");
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
    let state = apply(empty, message(1, "\u202E日本".repeat(10), long), message(2, "alice", long));
    state = opened(state);
    state = apply(state, message(3, "bob", long), message(4, "alice", long));
    state = { ...state, openId: id, conversations: new Map(state.conversations) };
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
  const drawn: string[] = [];
  store.subscribe(() => drawn.push(store.shown().hint ?? ""));
  const start = performance.now();
  for (let i = 1; i <= 2_000; i++) {
    store.update((state) => ({ ...state, hint: String(i) }));
    if (i % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  while (drawn.at(-1) !== "2000") await new Promise((resolve) => setTimeout(resolve, 5));
  expect(drawn.length).toBeLessThanOrEqual(2 + (performance.now() - start) / 50);
  store.close();
});
