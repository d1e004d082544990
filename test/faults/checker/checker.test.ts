import { expect, test } from "vitest";
import type { Dump, DumpEvent } from "../dump.ts";
import type { Entry, EntryInit, History, SeenError, SeenEvent } from "../history.ts";
import { type CheckOptions, check } from "./checker.ts";
import { connectionLost, SoundRun, seenOf } from "./sound-run.ts";

/** A sound run of five clients, to be doctored. */
interface Run {
  dump: Dump;
  histories: History[];
  /** Creates the group and sends. */
  alice: History;
  /** Alice's other device. */
  phone: History;
  /** On the SDK, a member from the start. */
  bob: History;
  /** Joins, is cut off twice, is removed. */
  carol: History;
  /** In no group. */
  dave: History;
}

function soundRun(): Run {
  const run = new SoundRun();
  const alice = run.client("raw", "alice");
  const phone = run.client("raw", "alice", "phone");
  const bob = run.client("sdk", "bob");
  const carol = run.client("raw", "carol");
  const dave = run.client("raw", "dave");
  const group = { groupId: "team" };
  const send = (history: History, to: { groupId: string } | { recipientId: string }, id: string) =>
    run.perform(history, { f: "send", to, clientMessageId: id, body: `body of ${id}` });

  for (const history of [alice, phone, carol, dave]) run.open(history);
  run.perform(alice, { f: "create-group", ...group, memberIds: ["bob"] });
  send(alice, group, "early");
  run.perform(carol, { f: "join", ...group });
  send(alice, group, "one");
  run.perform(
    bob,
    { f: "send", to: { recipientId: "alice" }, clientMessageId: "hi", body: "body of hi" },
    "retried",
  );
  for (const history of run.histories) run.deliver(history);
  run.cut(carol);
  send(bob, group, "two");
  send(bob, group, "three");
  send(bob, { recipientId: "alice" }, "direct");
  run.open(carol);
  run.deliver(carol, 2);
  run.cut(carol);
  run.finish();
  run.perform(alice, { f: "remove", ...group, userIds: ["carol"] });
  send(alice, group, "last");
  send(dave, group, "refused");
  run.finish();
  return { dump: run.dump, histories: run.histories, alice, phone, bob, carol, dave };
}

/** Doctors a sound run and tells which rules the checker finds broken: one for each violation. */
function judge(doctor: (run: Run) => void, options: Partial<CheckOptions> = {}): string[] {
  const run = soundRun();
  doctor(run);
  const { histories, dump } = run;
  const found = check({ histories, dump, expectCaughtUp: histories.map(({ client }) => client), ...options });
  return found.map(({ rule }) => rule);
}

/** The index of an entry of a type, of a send or an event with this id where one is named. */
function find(history: History, type: Entry["type"], id?: string): number {
  const op = history.entries.find(
    (entry) =>
      entry.type === "invoke" && (entry.operation as { clientMessageId?: string }).clientMessageId === id,
  );
  const index = history.entries.findIndex((entry) => {
    if (entry.type !== type) return false;
    if (id === undefined) return true;
    if ("event" in entry) return entry.event.clientMessageId === id;
    return "op" in entry && op !== undefined && "op" in op && entry.op === op.op;
  });
  expect(index, `${history.client} has ${type} ${id}`).toBeGreaterThanOrEqual(0);
  return index;
}

function entryOf<T extends Entry["type"]>(history: History, type: T, id?: string) {
  return history.entries[find(history, type, id)] as Extract<Entry, { type: T }>;
}

function eventOf(history: History, id: string): SeenEvent {
  return entryOf(history, history.kind === "sdk" ? "shown" : "event", id).event;
}

function stored({ dump }: Run, id: string): DumpEvent {
  return dump.events.find(({ clientMessageId }) => clientMessageId === id) as DumpEvent;
}

function insert(history: History, index: number, entry: EntryInit): void {
  history.entries.splice(index, 0, { atMs: 0, ...entry } as Entry);
}

function remove(history: History, type: Entry["type"], id: string): void {
  history.entries.splice(find(history, type, id), 1);
}

/** Has a log go on after its end. */
function append({ dump }: Run, event: Omit<DumpEvent, "seq" | "position">): DumpEvent {
  const seq = dump.events.filter(({ conversationId }) => conversationId === event.conversationId).length + 1;
  const appended = { ...event, seq, position: (dump.events.at(-1) as DumpEvent).position + 1 };
  dump.events.push(appended);
  return appended;
}

test("nothing is found in a sound run", () => {
  const { histories, dump } = soundRun();
  expect(check({ histories, dump, expectCaughtUp: histories.map(({ client }) => client) })).toEqual([]);
});

test("I1: an answered message that is not in the log is found", () => {
  const lost = (run: Run) => {
    insert(run.dave, 0, {
      type: "invoke",
      op: 9,
      operation: { f: "send", to: { recipientId: "carol" }, clientMessageId: "lost", body: "body of lost" },
    });
    insert(run.dave, 1, {
      type: "ok",
      op: 9,
      conversationId: "d:carol:dave",
      seq: 1,
      position: 99,
      messageId: "x",
      duplicate: false,
    });
  };
  expect(judge(lost)).toEqual(["I1"]);
});

test.each(["seq", "position", "messageId", "conversationId"] as const)(
  "I1: an answer with another %s than the log has is found",
  (field) => {
    expect(
      judge((run) => {
        const ok = entryOf(run.alice, "ok", "one");
        Object.assign(ok, { [field]: typeof ok[field] === "number" ? 77 : "other" });
      }),
    ).toEqual(["I1"]);
  },
);

test("I1: an answered message that the log has with another body is found", () => {
  const run = (doctored: Run) => {
    for (const history of [doctored.alice, doctored.phone, doctored.bob, doctored.carol])
      eventOf(history, "one").body = "altered";
    stored(doctored, "one").body = "altered";
  };
  // It is a phantom as well: nobody sent that.
  expect(judge(run)).toEqual(["I1", "I2"]);
});

test("I1: a change of membership that was answered and is not in the log is found", () => {
  const answer = (history: History, operation: Extract<Entry, { type: "invoke" }>["operation"]) => {
    insert(history, 0, { type: "invoke", op: 9, operation });
    insert(history, 1, { type: "ok", op: 9 });
  };
  const groupId = "team";
  expect(judge(({ dave }) => answer(dave, { f: "join", groupId }))).toEqual(["I1"]);
  expect(judge(({ dave }) => answer(dave, { f: "leave", groupId }))).toEqual(["I1"]);
  expect(judge(({ alice }) => answer(alice, { f: "add", groupId, userIds: ["dave"] }))).toEqual(["I1"]);
  expect(judge(({ alice }) => answer(alice, { f: "remove", groupId, userIds: ["bob"] }))).toEqual(["I1"]);
  expect(judge(({ dave }) => answer(dave, { f: "create-group", groupId: "none", memberIds: [] }))).toEqual([
    "I1",
  ]);
  // Carol joined once, by the log.
  expect(judge(({ carol }) => answer(carol, { f: "join", groupId }))).toEqual(["I1"]);
  // Bob was a member already: nothing had to change.
  expect(judge(({ alice }) => answer(alice, { f: "add", groupId, userIds: ["bob"] }))).toEqual([]);
});

test("I2: a message that nobody sent, or somebody unknown, is found", () => {
  const message = { kind: "message" as const, messageId: "x", clientMessageId: "phantom", body: "boo" };
  for (const senderId of ["alice", "mallory"]) {
    const conversationId = senderId === "alice" ? "d:alice:zoe" : "d:mallory:zoe";
    const phantom = (run: Run) => {
      const event = append(run, { ...message, conversationId, senderId });
      if (senderId === "mallory") return;
      for (const device of [run.alice, run.phone]) {
        const stream = entryOf(device, "opened").stream;
        device.add({ type: "event", stream, event: seenOf(event) });
      }
    };
    expect(judge(phantom)).toEqual(["I2"]);
  }
});

test("I2: a message that was refused is found, unless a try before had an open outcome", () => {
  const takeEffect = (run: Run) => {
    entryOf(run.dave, "invoke", "refused").operation = {
      f: "send",
      to: { recipientId: "zoe" },
      clientMessageId: "refused",
      body: "body of refused",
    };
    const event = append(run, {
      conversationId: "d:dave:zoe",
      senderId: "dave",
      kind: "message",
      messageId: "x",
      clientMessageId: "refused",
      body: "body of refused",
    });
    run.dave.add({ type: "event", stream: 1, event: seenOf(event) });
  };
  expect(judge(takeEffect)).toEqual(["I2"]);
  expect(
    judge((run) => {
      takeEffect(run);
      const { op } = entryOf(run.dave, "invoke", "refused");
      insert(run.dave, find(run.dave, "fail", "refused"), { type: "unknown", op, error: connectionLost });
    }),
  ).toEqual([]);
});

test("I2: a message to a group by somebody who was no member then is found", () => {
  const intrude = (run: Run) => {
    const event = append(run, {
      conversationId: "g:team",
      senderId: "carol",
      kind: "message",
      messageId: "x",
      clientMessageId: "after",
      body: "after",
    });
    for (const device of [run.alice, run.phone])
      device.add({ type: "event", stream: 1, event: seenOf(event) });
    run.bob.add({ type: "shown", event: seenOf(event) });
    run.carol.add({
      type: "invoke",
      op: 99,
      operation: { f: "send", to: { groupId: "team" }, clientMessageId: "after", body: "after" },
    });
  };
  expect(judge(intrude)).toEqual(["I2"]);
});

test("I2: an event that lets a member in again, or out who is none, is found", () => {
  const change = (run: Run, type: "joined" | "left", userId: string) => {
    const members = [{ userId, visibleFromSeq: 1 }];
    const event = append(run, {
      conversationId: "g:team",
      senderId: "alice",
      kind: "membershipChanged",
      change: { type, members },
    });
    for (const device of [run.alice, run.phone])
      device.add({ type: "event", stream: 1, event: seenOf(event) });
    run.bob.add({ type: "shown", event: seenOf(event) });
  };
  expect(judge((run) => change(run, "joined", "bob"))).toEqual(["I2"]);
  expect(judge((run) => change(run, "left", "dave"))).toEqual(["I2"]);
});

test("I3: a hole in the seqs and a position that falls are found", () => {
  const leaveOut = (run: Run) => {
    const { position, seq } = run.dump.events.at(-1) as DumpEvent;
    const gone = { conversationId: "g:team", kind: "groupChanged", position: position + 1 } as const;
    run.dump.events.push({ ...gone, senderId: "alice", seq: seq + 2 });
    for (const device of [run.alice, run.phone])
      device.add({ type: "event", stream: 1, event: { ...gone, seq: seq + 2 } });
    run.bob.add({ type: "shown", event: { ...gone, seq: seq + 2 } });
  };
  expect(judge(leaveOut)).toEqual(["I3"]);
  const fall = ({ dump }: Run) => {
    dump.events.push({
      conversationId: "g:other",
      seq: 1,
      position: 1,
      kind: "groupChanged",
      senderId: "zoe",
    });
  };
  expect(judge(fall)).toEqual(["I3"]);
});

test.each(["messageId", "senderId", "body", "position", "kind", "clientMessageId"] as const)(
  "I4: an event seen with another %s than the log has is found",
  (field) => {
    // The positions between those of the log are nobody's.
    const alter = (event: SeenEvent) => {
      if (field === "position") event.position--;
      else Object.assign(event, { [field]: field === "kind" ? "groupChanged" : "other" });
    };
    for (const who of ["carol", "bob"] as const)
      expect(judge((run) => alter(eventOf(run[who], "three")))).toEqual(["I4"]);
  },
);

test("I4: an event ahead of the log's end is found", () => {
  const ahead: SeenEvent = { conversationId: "d:alice:zoe", seq: 1, position: 1_000, kind: "message" };
  expect(judge(({ alice }) => alice.add({ type: "event", stream: 1, event: ahead }))).toEqual(["I4"]);
  expect(judge(({ bob }) => bob.add({ type: "shown", event: ahead }))).toEqual(["I4"]);
});

test("I4: a stream of another epoch is found, and nothing of it compared when a backup was restored", () => {
  const other: SeenEvent = { conversationId: "d:alice:zoe", seq: 1, position: 1_000, kind: "message" };
  const before = ({ alice }: Run) => {
    insert(alice, 0, { type: "opened", stream: 100, epoch: "former", position: 1_000, resumed: false });
    insert(alice, 1, { type: "event", stream: 100, event: other });
  };
  expect(judge(before)).toEqual(["I4"]);
  expect(judge(before, { restored: true })).toEqual([]);
});

test("I5: an event that comes twice over a stream is found", () => {
  const repeat = ({ carol }: Run) =>
    insert(carol, find(carol, "event", "three") + 1, {
      type: "event",
      stream: 2,
      event: eventOf(carol, "three"),
    });
  expect(judge(repeat)).toEqual(["I5"]);
});

test("I5: an event that is shown twice is found, over all streams", () => {
  expect(judge(({ bob }) => bob.add({ type: "shown", event: eventOf(bob, "two") }))).toEqual(["I5"]);
});

test("I5: events that come in another order are found", () => {
  const swap = (history: History, first: string, second: string) => {
    const type = history.kind === "sdk" ? "shown" : "event";
    const [a, b] = [find(history, type, first), find(history, type, second)];
    const { entries } = history;
    [entries[a], entries[b]] = [entries[b] as Entry, entries[a] as Entry];
  };
  // A raw stream lacks the event as well, when the one after it comes.
  expect(judge(({ alice }) => swap(alice, "two", "three"))).toEqual(["I6", "I5"]);
  expect(judge(({ bob }) => swap(bob, "two", "three"))).toContain("I5");
});

test("I6: a hole in a stream is found", () => {
  expect(judge(({ alice }) => remove(alice, "event", "three"))).toEqual(["I6"]);
});

test("I6: a hole in what is shown is found", () => {
  expect(judge(({ bob }) => remove(bob, "shown", "three"))).toEqual(["I6"]);
});

test("I6: an event due that comes only after the stream said to have caught up is found", () => {
  for (const who of ["alice", "bob"] as const) {
    const late = (run: Run) => {
      const history = run[who];
      const type = who === "bob" ? "shown" : "event";
      const at = find(history, type, "hi");
      const [entry] = history.entries.splice(at, 1);
      history.entries.splice(find(history, "caught-up") + 1, 0, entry as Entry);
    };
    expect(judge(late)).toEqual(["I6"]);
  }
});

test("I6: what a stream skips by being behind is not due, what follows is", () => {
  const skip = (run: Run) => {
    const { position } = eventOf(run.carol, "two");
    remove(run.carol, "event", "two");
    insert(run.carol, find(run.carol, "end") + 2, { type: "behind", stream: 2, position });
  };
  expect(judge(skip)).toEqual([]);
});

test("I6: an SDK that was behind owes messages only", () => {
  const options = { sdkBehind: true };
  const withoutChange = ({ bob }: Run) => {
    const at = bob.entries.findIndex((e) => e.type === "shown" && e.event.kind === "membershipChanged");
    bob.entries.splice(at, 1);
  };
  expect(judge(withoutChange)).toEqual(["I6"]);
  expect(judge(withoutChange, options)).toEqual([]);
  expect(judge(({ bob }) => remove(bob, "shown", "three"), options)).toEqual(["I6"]);
});

test("I7: a resumed stream that leaves out its first event is found", () => {
  expect(judge(({ carol }) => remove(carol, "event", "two"))).toEqual(["I7"]);
});

test("I7: a stream that brings what it resumed at is found", () => {
  const again = ({ carol }: Run) =>
    insert(carol, find(carol, "event", "two"), { type: "event", stream: 2, event: eventOf(carol, "one") });
  expect(judge(again)).toEqual(["I7"]);
});

test("I7: a stream that goes on after events its client never had is found", () => {
  const ahead = (run: Run) => {
    remove(run.carol, "event", "two");
    const opened = run.carol.entries.filter((entry) => entry.type === "opened");
    (opened[1] as { position: number }).position = stored(run, "two").position;
  };
  expect(judge(ahead)).toEqual(["I7"]);
});

test("I7: an application that has to start over without a reason is found", () => {
  const reset = ({ bob }: Run) => bob.add({ type: "end", stream: 0, closed: "RESET" });
  expect(judge(reset, { expectCaughtUp: [] })).toEqual(["I7"]);
});

test("I8: a message that is stored twice is found", () => {
  const twice = (run: Run) => {
    const event = append(run, stored(run, "hi"));
    for (const device of [run.alice, run.phone])
      device.add({ type: "event", stream: 1, event: seenOf(event) });
    run.bob.add({ type: "shown", event: seenOf(event) });
  };
  expect(judge(twice)).toEqual(["I8"]);
});

test("I8: two answers that both say to be the first are found, and answers that differ", () => {
  const repeat = ({ phone, alice }: Run, change: object) => {
    const { op: _, ...result } = entryOf(alice, "ok", "one");
    const { operation } = entryOf(alice, "invoke", "one");
    phone.add({ type: "invoke", op: 50, operation });
    phone.add({ ...result, op: 50, ...change });
  };
  expect(judge((run) => repeat(run, { duplicate: true }))).toEqual([]);
  expect(judge((run) => repeat(run, { duplicate: false }))).toEqual(["I8"]);
  expect(judge((run) => repeat(run, { duplicate: true, seq: 2, position: 77 }))).toContain("I8");
});

test("I9: an event that comes to a stranger is found", () => {
  const leak = (run: Run) => run.dave.add({ type: "event", stream: 1, event: seenOf(stored(run, "last")) });
  expect(judge(leak)).toEqual(["I9"]);
});

test("I9: an event from before a member joined or after one was removed is found", () => {
  const after = (run: Run) => run.carol.add({ type: "event", stream: 3, event: seenOf(stored(run, "last")) });
  expect(judge(after)).toEqual(["I9"]);
  const before = (run: Run) =>
    insert(run.carol, find(run.carol, "event"), {
      type: "event",
      stream: 1,
      event: seenOf(stored(run, "early")),
    });
  expect(judge(before)).toEqual(["I9"]);
});

test("I9: a direct message that is shown to somebody else is found", () => {
  const leak = (run: Run) => {
    const message = { kind: "message" as const, messageId: "x", clientMessageId: "secret", body: "psst" };
    const event = append(run, { ...message, conversationId: "d:dave:zoe", senderId: "dave" });
    const operation = {
      f: "send",
      to: { recipientId: "zoe" },
      clientMessageId: "secret",
      body: "psst",
    } as const;
    run.dave.add({ type: "invoke", op: 70, operation });
    run.dave.add({ type: "event", stream: 1, event: seenOf(event) });
    run.bob.add({ type: "shown", event: seenOf(event) });
  };
  expect(judge(leak)).toEqual(["I9"]);
});

test("I9: a member may read what was there before where the group lets them", () => {
  const open = (run: Run) => {
    const joined = run.dump.events.find(({ senderId, change }) => senderId === "carol" && change);
    (joined?.change?.members[0] as { visibleFromSeq: number }).visibleFromSeq = 1;
    insert(run.carol, find(run.carol, "event"), {
      type: "event",
      stream: 1,
      event: seenOf(stored(run, "early")),
    });
  };
  expect(judge(open)).toEqual([]);
});

test("a group that is disbanded has no members from then on", () => {
  const disband = (run: Run) => {
    const end = append(run, {
      conversationId: "g:team",
      senderId: "alice",
      kind: "groupChanged",
      disbanded: true,
    });
    for (const device of [run.alice, run.phone]) device.add({ type: "event", stream: 1, event: seenOf(end) });
    run.bob.add({ type: "shown", event: seenOf(end) });
    append(run, { conversationId: "g:team", senderId: "alice", kind: "groupChanged" });
  };
  expect(judge(disband)).toEqual([]);
});

test("I12: a client that did not receive everything in the end is found, when it had to", () => {
  const cutOff = ({ alice, bob }: Run) => {
    for (const history of [alice, bob])
      history.entries.splice(find(history, history.kind === "sdk" ? "shown" : "event", "last"));
  };
  expect(judge(cutOff)).toEqual(["I12", "I12"]);
  expect(judge(cutOff, { expectCaughtUp: ["carol/default"] })).toEqual([]);
  expect(judge(() => {}, { expectCaughtUp: ["nobody/default"] })).toEqual(["I12"]);
});

test("I14: errors are honest when they have a documented reason with its code, or are the transport's", () => {
  const judgeError = (error: Partial<SeenError>, options: Partial<CheckOptions> = {}) =>
    judge(
      ({ dave }) =>
        dave.add({ type: "error", call: "login", error: { code: "", reason: "", message: "", ...error } }),
      options,
    );
  const honest: Partial<SeenError>[] = [
    { code: "NOT_FOUND", reason: "GROUP_NOT_FOUND" },
    { code: "UNAVAILABLE", reason: "SERVER_DRAINING" },
    { code: "UNAVAILABLE" },
    { code: "CANCELLED" },
    { code: "DEADLINE_EXCEEDED" },
    { code: "INTERNAL", message: "Received RST_STREAM with code 2 (Internal server error)" },
    { code: "RESOURCE_EXHAUSTED", message: "Bandwidth exhausted or memory limit exceeded" },
  ];
  for (const error of honest) expect(judgeError(error)).toEqual([]);
  const broken: Partial<SeenError>[] = [
    { code: "INTERNAL", reason: "UNSPECIFIED" },
    { code: "INTERNAL", message: "the server received RST_STREAM with code 2" },
    { code: "UNKNOWN" },
    { code: "DATA_LOSS", message: "events are missing" },
    { code: "PERMISSION_DENIED" },
    { code: "NOT_FOUND", reason: "NOT_A_MEMBER" },
    { code: "NOT_FOUND", reason: "SOMETHING_ELSE" },
    { code: "RESOURCE_EXHAUSTED", reason: "STORAGE_FULL" },
    { code: "INVALID_ARGUMENT", reason: "CURSOR_IN_FUTURE" },
  ];
  for (const error of broken) expect(judgeError(error)).toEqual(["I14"]);
  expect(judgeError({ code: "INTERNAL", reason: "UNSPECIFIED" }, { allowInternal: true })).toEqual([]);
  const full = { code: "RESOURCE_EXHAUSTED", reason: "STORAGE_FULL" };
  expect(judgeError(full, { allowReasons: ["STORAGE_FULL"] })).toEqual([]);
});

test("I14: the errors of operations and of streams are judged too", () => {
  const error = { code: "INTERNAL", reason: "UNSPECIFIED", message: "oops" };
  expect(judge(({ dave }) => Object.assign(entryOf(dave, "fail"), { error }))).toEqual(["I14"]);
  expect(judge(({ carol }) => Object.assign(entryOf(carol, "end"), { error }))).toEqual(["I14"]);
  expect(judge(({ bob }) => Object.assign(entryOf(bob, "unknown"), { error }))).toEqual(["I14"]);
});

test("of each rule 20 violations are told, and how many more there were", () => {
  const { histories, dump, dave } = soundRun();
  const error = { code: "UNKNOWN", reason: "", message: "oops" };
  for (let n = 0; n < 33; n++) dave.add({ type: "error", call: "login", error });
  const found = check({ histories, dump });
  expect(found).toHaveLength(21);
  expect(found.at(-1)).toEqual({ rule: "I14", text: "and 13 more" });
});

test("a violation tells the client and the line of its history", () => {
  const { histories, dump, alice } = soundRun();
  const at = find(alice, "event", "three");
  eventOf(alice, "three").body = "other";
  expect(check({ histories, dump })).toEqual([
    {
      rule: "I4",
      text: expect.stringMatching(new RegExp(`^alice/default line ${at + 2}, stream 1: g:team seq 7 `)),
    },
  ]);
});

test("a restored store is held to what its clients saw since they know of it", () => {
  const restore = (run: Run) => {
    // Answered and shown by the store that was replaced.
    const lost = { conversationId: "d:bob:zoe", seq: 1, position: 900, messageId: "x" };
    insert(run.bob, 0, {
      type: "invoke",
      op: 80,
      operation: { f: "send", to: { recipientId: "zoe" }, clientMessageId: "lost", body: "lost" },
    });
    insert(run.bob, 1, { type: "ok", op: 80, ...lost, duplicate: false });
    insert(run.bob, 2, {
      type: "shown",
      event: { ...lost, kind: "message", senderId: "bob", clientMessageId: "lost", body: "lost" },
    });
    insert(run.bob, 3, { type: "end", stream: 0, closed: "RESET" });
  };
  expect(judge(restore, { restored: true })).toEqual([]);
  expect(judge(restore)).toContain("I1");
  const thenLose = (run: Run) => {
    restore(run);
    remove(run.bob, "shown", "three");
  };
  expect(judge(thenLose, { restored: true })).toEqual(["I6"]);
});
