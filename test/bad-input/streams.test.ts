import { ClientError, Status } from "nice-grpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CloseReason, EventKind } from "../../gen/parlance/chat/v1/event_pb.js";
import { JoinPolicy } from "../../gen/parlance/chat/v1/group_pb.js";
import { failureIn, failureOf } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";
import { invalid, refusal } from "./refusal.ts";

const maxInt64 = 2n ** 63n - 1n;

let server: TestServer;
/** Sees what happens to those who do no wrong. */
let witness: TestStream;
let alice: UserClients;
let witnessed: string[];

beforeAll(async () => {
  server = await startTestServer();
  alice = await server.login("alice");
  const user = await server.login("witness");
  witness = user.stream();
  await witness.open();
  witnessed = [];
});
afterAll(async () => {
  await server.close();
});

/** Sends the witness a message that it will have to have got. */
async function note(body: string): Promise<void> {
  witnessed.push(body);
  await alice.chat.sendDirect({ recipientId: "witness", content: text(body) });
}

/** A user of their own for each test, with one unread message. */
async function someone(name: string): Promise<UserClients> {
  const user = await server.login(name);
  await alice.chat.sendDirect({ recipientId: name, content: text("unread") });
  return user;
}

/** The answer to the request with this id. */
async function refusalOf(stream: TestStream, requestId: string) {
  return failureIn(await stream.next("refusal", (_, event) => event.requestId === requestId));
}

async function goesOn(stream: TestStream): Promise<void> {
  const requestId = `ping ${stream.events.length}`;
  stream.send({ case: "ping", value: {} }, requestId);
  await stream.next("pong", (_, event) => event.requestId === requestId);
}

async function endOf(stream: TestStream) {
  const error = await stream.ended;
  return error instanceof ClientError ? Status[error.code] : error;
}

describe("opening", () => {
  test("B37: a second open is refused, and the stream goes on as it was opened", async () => {
    const user = await someone("twice");
    const stream = user.stream();
    const opened = await stream.open();
    stream.send({ case: "open", value: { replayLimit: 0 } }, "again");
    expect(await refusalOf(stream, "again")).toMatchObject(
      refusal("FAILED_PRECONDITION", "STREAM_ALREADY_OPEN"),
    );
    await note("during a second open");
    await stream.next("message");
    await goesOn(stream);
    expect(stream.all("opened")).toEqual([opened]);
    stream.cancel();
  });

  test("with a cursor of another epoch is refused, and the same stream can then open without it", async () => {
    const user = await someone("restored");
    const stream = user.stream();
    stream.send({ case: "open", value: { resumeFrom: { epoch: "another", position: 1n } } }, "old");
    const failure = await refusalOf(stream, "old");
    expect(failure).toMatchObject(refusal("FAILED_PRECONDITION", "CURSOR_OF_ANOTHER_EPOCH"));
    const opened = await stream.open();
    expect(failure.metadata).toEqual({ epoch: opened.cursor?.epoch });
    expect(opened.resumed).toBe(false);
    await stream.next("caughtUp");
    expect(stream.texts()).toEqual(["unread"]);
    stream.cancel();
  });

  test("B35: with a cursor in the future, a negative one or none at all is refused, and nothing is skipped", async () => {
    const user = await someone("ahead");
    const probe = user.stream();
    const { cursor } = await probe.open();
    probe.cancel();
    const epoch = cursor?.epoch ?? "";
    const stream = user.stream();
    const open = (requestId: string, resumeFrom: object) =>
      stream.send({ case: "open", value: { resumeFrom } }, requestId);
    open("a little", { epoch, position: (cursor?.position ?? 0n) + 1_000n });
    open("far", { epoch, position: maxInt64 });
    open("negative", { epoch, position: -1n });
    open("without an epoch", { position: 1n });
    open("with a long epoch", { epoch: "e".repeat(33), position: 1n });
    for (const id of ["a little", "far"])
      expect(await refusalOf(stream, id)).toMatchObject(refusal("INVALID_ARGUMENT", "CURSOR_IN_FUTURE"));
    expect(await refusalOf(stream, "negative")).toMatchObject(invalid("open.resume_from.position"));
    for (const id of ["without an epoch", "with a long epoch"])
      expect(await refusalOf(stream, id)).toMatchObject(invalid("open.resume_from.epoch"));
    await stream.open();
    await stream.next("caughtUp");
    expect(stream.texts()).toEqual(["unread"]);
    stream.cancel();
  });

  test("with a replay limit or kinds of events that do not exist is refused", async () => {
    const user = await someone("picky");
    const stream = user.stream();
    stream.send({ case: "open", value: { replayLimit: -1 } }, "below");
    stream.send({ case: "open", value: { replayLimit: 10_001 } }, "above");
    stream.send({ case: "open", value: { eventKinds: [EventKind.UNSPECIFIED] } }, "unspecified");
    stream.send({ case: "open", value: { eventKinds: [33 as EventKind] } }, "unknown");
    stream.send({ case: "open", value: { eventKinds: Array(17).fill(EventKind.MESSAGE) } }, "many");
    for (const id of ["below", "above"])
      expect(await refusalOf(stream, id)).toMatchObject(invalid("open.replay_limit"));
    for (const id of ["unspecified", "unknown"])
      expect(await refusalOf(stream, id)).toMatchObject(invalid("open.event_kinds[0]"));
    expect(await refusalOf(stream, "many")).toMatchObject(invalid("open.event_kinds"));
    await stream.open();
    stream.cancel();
  });

  test("by Listen is refused as by Stream, with a status", async () => {
    const user = await someone("listener");
    const listen = (open: object) => failureOf((o) => user.chat.listen({ open }, o));
    expect(await listen({ resumeFrom: { epoch: "another", position: 1n } })).toMatchObject(
      refusal("FAILED_PRECONDITION", "CURSOR_OF_ANOTHER_EPOCH"),
    );
    expect(await listen({ resumeFrom: { epoch: "another", position: -1n } })).toMatchObject(
      invalid("open.resume_from.position"),
    );
    expect(await listen({ replayLimit: -1 })).toMatchObject(invalid("open.replay_limit"));
  });

  test.each<[string, object, string]>([
    ["ping", { case: "ping", value: {} }, "pong"],
    ["send_direct", { case: "sendDirect", value: { recipientId: "bob", content: text("first") } }, "sent"],
    ["watch_presence", { case: "watchPresence", value: { userIds: ["bob"] } }, "done"],
    ["set_typing", { case: "setTyping", value: { target: { case: "recipientId", value: "bob" } } }, "done"],
    ["a refused mark_read", { case: "markRead", value: { conversationId: "g:none" } }, "refusal"],
  ])("B37: by %s opens with defaults and then does what it asks", async (name, request, answer) => {
    const user = await someone(`opens by ${name}`);
    const stream = user.stream();
    stream.send(request as never, "first");
    await stream.until(() => stream.events.some(({ event }) => event.case === answer));
    await stream.next("caughtUp");
    expect(stream.events[0]).toMatchObject({ requestId: "", event: { case: "opened" } });
    const answers = stream.events.filter(({ requestId }) => requestId !== "");
    expect(answers).toMatchObject([{ requestId: "first", event: { case: answer } }]);
    expect(stream.texts()).toContain("unread");
    stream.cancel();
  });

  test("B37: by a request that is refused as such does not open, and the next one may", async () => {
    const user = await someone("stumbler");
    const stream = user.stream();
    stream.send({ case: undefined }, "nothing");
    stream.send({ case: "sendDirect", value: { recipientId: "bob" } }, "no content");
    expect(await refusalOf(stream, "nothing")).toMatchObject(invalid("request"));
    expect(await refusalOf(stream, "no content")).toMatchObject(invalid("send_direct.content"));
    expect(stream.events.map(({ event }) => event.case)).toEqual(["refusal", "refusal"]);
    await stream.open();
    stream.cancel();
  });

  test("never, and ending the stream instead, ends it well", async () => {
    const user = await someone("shy");
    const stream = user.stream();
    stream.halfClose();
    expect(await endOf(stream)).toBeUndefined();
    expect(stream.events).toEqual([]);
  });
});

describe("a stream that is not opened in time", () => {
  let impatient: TestServer;
  beforeAll(async () => {
    impatient = await startTestServer({ firstRequestTimeoutMs: 200 });
  });
  afterAll(() => impatient.close());

  test("B37: ends with STREAM_NOT_OPENED", async () => {
    const user = await impatient.login("silent");
    const silence = new AbortController();
    async function* nothing() {
      await new Promise((resolve) => silence.signal.addEventListener("abort", resolve));
    }
    const failure = await failureOf((o) => user.chat.stream(nothing(), o));
    silence.abort();
    expect(failure).toMatchObject(refusal("DEADLINE_EXCEEDED", "STREAM_NOT_OPENED"));
    expect(impatient.server.stats().sessions).toBe(0);
  });

  test("B37: ends so even if it sends one refused request after another", async () => {
    const user = await impatient.login("noisy");
    const stream = user.stream();
    const noise = setInterval(() => stream.send({ case: undefined }, "noise"), 20);
    const end = await endOf(stream);
    clearInterval(noise);
    expect(end).toBe("DEADLINE_EXCEEDED");
    expect(stream.all("opened")).toEqual([]);
    expect(stream.all("refusal").length).toBeGreaterThan(1);
  });
});

describe("requests", () => {
  test("B38: that ask nothing, have a long id or break a rule are refused under their id, and the stream goes on", async () => {
    const user = await someone("careless");
    const stream = user.stream();
    await stream.open();
    const longId = "i".repeat(65);
    const many = Array.from({ length: 1_001 }, (_, i) => `u${i}`);
    stream.send({ case: undefined }, "nothing");
    stream.send({ case: "ping", value: {} }, longId);
    stream.send({ case: "ping", value: {} }, "i".repeat(64));
    stream.send({ case: "sendDirect", value: { recipientId: "", content: text("x") } }, "nobody");
    stream.send({ case: "sendDirect", value: { recipientId: "careless", content: text("x") } }, "self");
    stream.send({ case: "sendGroup", value: { groupId: "no-such", content: text("x") } }, "group");
    stream.send({ case: "watchPresence", value: { userIds: many } }, "many");
    stream.send({ case: "watchPresence", value: { userIds: ["ok", "b\n"] } }, "watch");
    stream.send({ case: "setTyping", value: {} }, "typing");
    stream.send(
      { case: "setTyping", value: { target: { case: "groupId", value: "no-such" } } },
      "typing in group",
    );
    stream.send({ case: "markRead", value: { conversationId: "d:alice:careless", upToSeq: 99n } }, "future");
    stream.send(
      { case: "markRead", value: { conversationId: "d:alice:careless", upToSeq: -1n } },
      "negative",
    );
    expect(await refusalOf(stream, "nothing")).toMatchObject(invalid("request"));
    expect(await refusalOf(stream, longId)).toMatchObject(invalid("request_id"));
    await stream.next("pong", (_, event) => event.requestId === "i".repeat(64));
    expect(await refusalOf(stream, "nobody")).toMatchObject(invalid("send_direct.recipient_id"));
    expect(await refusalOf(stream, "self")).toMatchObject(refusal("INVALID_ARGUMENT", "RECIPIENT_IS_SENDER"));
    expect(await refusalOf(stream, "group")).toMatchObject(refusal("NOT_FOUND", "GROUP_NOT_FOUND"));
    expect(await refusalOf(stream, "many")).toMatchObject(invalid("watch_presence.user_ids"));
    expect(await refusalOf(stream, "watch")).toMatchObject(invalid("watch_presence.user_ids[1]"));
    expect(await refusalOf(stream, "typing")).toMatchObject(invalid("set_typing.target"));
    expect(await refusalOf(stream, "typing in group")).toMatchObject(refusal("NOT_FOUND", "GROUP_NOT_FOUND"));
    expect(await refusalOf(stream, "future")).toMatchObject(refusal("INVALID_ARGUMENT", "SEQ_IN_FUTURE"));
    expect(await refusalOf(stream, "negative")).toMatchObject(invalid("mark_read.up_to_seq"));
    await goesOn(stream);
    await note("during careless requests");
    stream.cancel();
  });

  // It is not read, so nobody knows its id. Better were a refusal, since who sends it again ends the next one too.
  test("B3: larger than 128 KiB end the stream", async () => {
    const user = await someone("heavy");
    const stream = user.stream();
    await stream.open();
    await stream.next("caughtUp");
    const content = text("x".repeat(140_000));
    stream.send({ case: "sendDirect", value: { recipientId: "bob", content } }, "heavy");
    expect(await endOf(stream)).toBe("RESOURCE_EXHAUSTED");
    expect(stream.all("refusal")).toEqual([]);
    const again = user.stream();
    await again.open();
    again.cancel();
  });

  test("a refusal on a stream says what the unary call would have said", async () => {
    const user = await someone("both-ways");
    const stream = user.stream();
    await stream.open();
    const value = { groupId: "no-such", content: text("x") };
    stream.send({ case: "sendGroup", value }, "on the stream");
    const unary = await failureOf((o) => user.chat.sendGroup(value, o));
    expect(await refusalOf(stream, "on the stream")).toEqual(unary);
    stream.cancel();
  });

  test("B29: watching 1,000 users is fine, and watching none ends it", async () => {
    const user = await someone("watcher");
    const stream = user.stream();
    await stream.open();
    const userIds = Array.from({ length: 1_000 }, (_, i) => `watched-${i}`);
    stream.send({ case: "watchPresence", value: { userIds } }, "all");
    await stream.next("done", (_, event) => event.requestId === "all");
    expect(stream.all("presence").map(({ userId }) => userId)).toEqual(userIds);
    stream.send({ case: "watchPresence", value: {} }, "none");
    await stream.next("done", (_, event) => event.requestId === "none");
    const watched = await server.login("watched-1");
    const other = watched.stream();
    await other.open();
    await goesOn(stream);
    expect(stream.all("presence")).toHaveLength(1_000);
    for (const one of [stream, other]) one.cancel();
  });

  test("typing in a group one has left, or is not in, reaches nobody", async () => {
    await alice.groups.createGroup({
      groupId: "typed",
      joinPolicy: JoinPolicy.OPEN,
      memberIds: ["member", "gone"],
    });
    const [member, gone, stranger] = await Promise.all(
      ["member", "gone", "stranger"].map((id) => server.login(id)),
    );
    if (!member || !gone || !stranger) throw new Error("logins failed");
    const reading = member.stream();
    await reading.open();
    await gone.groups.leaveGroup({ groupId: "typed" });
    for (const user of [gone, stranger]) {
      const stream = user.stream();
      await stream.open();
      stream.send(
        { case: "setTyping", value: { target: { case: "groupId", value: "typed" }, typing: true } },
        "t",
      );
      expect(await refusalOf(stream, "t")).toMatchObject(refusal("PERMISSION_DENIED", "NOT_A_MEMBER"));
      stream.cancel();
    }
    const typist = alice.stream();
    await typist.open();
    typist.send({ case: "setTyping", value: { target: { case: "groupId", value: "typed" }, typing: true } });
    await reading.next("typing");
    expect(reading.all("typing").map(({ userId }) => userId)).toEqual(["alice"]);
    for (const stream of [reading, typist]) stream.cancel();
  });

  test.each([
    ["before it is open", false],
    ["once it is open", true],
  ])("many of them, sent %s, are carried out in their order, the refused among them", async (_, waits) => {
    const user = await someone(`hasty-${waits}`);
    const stream = user.stream();
    stream.send({ case: "open", value: {} });
    if (waits) await stream.next("opened");
    for (let i = 0; i < 300; i++) {
      const recipientId = i % 50 === 49 ? "" : "bob";
      stream.send({ case: "sendDirect", value: { recipientId, content: text(`${i}`) } }, `${i}`);
      // In the middle some come alone.
      if (i % 100 === 60) await new Promise(setImmediate);
    }
    stream.halfClose();
    expect(await endOf(stream)).toBeUndefined();
    const seqs = stream.events.flatMap(({ event, requestId }) =>
      event.case === "sent" ? [[Number(event.value.seq), Number(requestId)]] : [],
    );
    seqs.sort(([a = 0], [b = 0]) => a - b);
    const sent = Array.from({ length: 300 }, (_, i) => i).filter((i) => i % 50 !== 49);
    expect(seqs.map(([, requestId]) => requestId)).toEqual(sent);
    expect(stream.all("refusal")).toHaveLength(6);
  });

  test("after the client's end of the stream all are answered, and it ends well", async () => {
    const user = await someone("leaving");
    const stream = user.stream();
    await stream.open();
    for (let i = 0; i < 50; i++)
      stream.send({ case: "sendDirect", value: { recipientId: "bob", content: text(`${i}`) } }, `${i}`);
    stream.send({ case: undefined }, "refused");
    stream.halfClose();
    expect(await endOf(stream)).toBeUndefined();
    expect(stream.all("sent")).toHaveLength(50);
    expect(stream.all("refusal")).toHaveLength(1);
    expect(stream.all("closed")).toEqual([]);
  });
});

describe("acknowledging", () => {
  /** A user who got three messages on a stream. */
  async function reader(name: string) {
    const user = await someone(name);
    for (const body of ["second", "third"])
      await alice.chat.sendDirect({ recipientId: name, content: text(body) });
    const stream = user.stream();
    await stream.open();
    await stream.next("caughtUp");
    expect(stream.texts()).toEqual(["unread", "second", "third"]);
    const cursors = stream.events.flatMap(({ event, cursor }) =>
      event.case === "message" && cursor !== undefined ? [cursor] : [],
    );
    return { user, stream, cursors };
  }

  test("backwards changes nothing: the answer tells where the device is, and what was acknowledged stays so", async () => {
    const { user, stream, cursors } = await reader("backwards");
    const [first, second, third] = cursors;
    expect((await user.chat.ack({ cursor: second })).cursor).toEqual(second);
    expect((await user.chat.ack({ cursor: first })).cursor).toEqual(second);
    expect((await user.chat.ack({ cursor: { epoch: first?.epoch ?? "", position: 0n } })).cursor).toEqual(
      second,
    );
    stream.send({ case: "ack", value: { cursor: first } }, "back");
    await stream.next("done", (_, event) => event.requestId === "back");
    stream.cancel();
    const again = user.stream();
    expect(await again.open()).toMatchObject({ resumed: true, cursor: second });
    await again.next("caughtUp");
    expect(again.texts()).toEqual(["third"]);
    expect((await user.chat.ack({ cursor: third })).cursor).toEqual(third);
    again.cancel();
  });

  test("B35: ahead of the log, in another epoch or nothing is refused, and nothing counts as acknowledged", async () => {
    const { user, stream, cursors } = await reader("eager");
    const epoch = cursors[0]?.epoch ?? "";
    const ack = (cursor: object | undefined) => failureOf((o) => user.chat.ack(cursor ? { cursor } : {}, o));
    for (const position of [1_000_000n, maxInt64])
      expect(await ack({ epoch, position })).toMatchObject(refusal("INVALID_ARGUMENT", "CURSOR_IN_FUTURE"));
    expect(await ack({ epoch: "another", position: 1n })).toMatchObject({
      ...refusal("FAILED_PRECONDITION", "CURSOR_OF_ANOTHER_EPOCH"),
      metadata: { epoch },
    });
    expect(await ack({ epoch, position: -1n })).toMatchObject(invalid("cursor.position"));
    expect(await ack({})).toMatchObject(invalid("cursor.epoch"));
    expect(await ack(undefined)).toMatchObject(invalid("cursor"));
    stream.send({ case: "ack", value: { cursor: { epoch, position: maxInt64 } } }, "far");
    stream.send({ case: "ack", value: { cursor: { epoch: "another" } } }, "other");
    expect(await refusalOf(stream, "far")).toMatchObject(refusal("INVALID_ARGUMENT", "CURSOR_IN_FUTURE"));
    expect(await refusalOf(stream, "other")).toMatchObject(
      refusal("FAILED_PRECONDITION", "CURSOR_OF_ANOTHER_EPOCH"),
    );
    await goesOn(stream);
    stream.cancel();
    const again = user.stream();
    expect((await again.open()).resumed).toBe(false);
    await again.next("caughtUp");
    expect(again.texts()).toEqual(["unread", "second", "third"]);
    again.cancel();
  });

  test("is one device's alone", async () => {
    const { user, stream, cursors } = await reader("two-devices");
    await user.chat.ack({ cursor: cursors[2] });
    const other = await server.login("two-devices", "other");
    const fresh = other.stream();
    expect((await fresh.open()).resumed).toBe(false);
    await fresh.next("caughtUp");
    expect(fresh.texts()).toEqual(["unread", "second", "third"]);
    for (const one of [stream, fresh]) one.cancel();
  });
});

describe("a device's second stream", () => {
  test("takes the place of the first, which ends as REPLACED, and nothing is lost between them", async () => {
    const user = await server.login("replacer");
    const sent: string[] = [];
    const streams: TestStream[] = [];
    const received = new Set<string>();
    for (let round = 0; round < 5; round++) {
      const stream = user.stream();
      streams.push(stream);
      const sending = (async () => {
        for (let i = 0; i < 10; i++) {
          const body = `${round}/${i}`;
          sent.push(body);
          await alice.chat.sendDirect({ recipientId: "replacer", content: text(body) });
        }
      })();
      await stream.open();
      await sending;
    }
    const last = streams.at(-1) as TestStream;
    await last.until(() => last.texts().at(-1) === sent.at(-1), "the last message");
    for (const stream of streams.slice(0, -1)) {
      expect(await endOf(stream)).toBe("ABORTED");
      expect(stream.events.at(-1)?.event).toMatchObject({
        case: "closed",
        value: { reason: CloseReason.REPLACED },
      });
    }
    for (const stream of streams) {
      const texts = stream.texts();
      expect(new Set(texts).size).toBe(texts.length);
      for (const body of texts) received.add(body);
    }
    expect([...received].sort()).toEqual([...sent].sort());
    // Nothing was acknowledged, so the last one got all.
    expect(last.texts()).toEqual(sent);
    last.cancel();
    await note("after replaced streams");
  });

  test("of two that come at once one stays", async () => {
    const user = await server.login("twins");
    const streams = Array.from({ length: 8 }, () => user.stream().send({ case: "open", value: {} }));
    const over = new Set<TestStream>();
    for (const stream of streams) void stream.ended.then(() => over.add(stream));
    await eventually(() => over.size === 7);
    const [stays] = streams.filter((stream) => !over.has(stream));
    await alice.chat.sendDirect({ recipientId: "twins", content: text("hi") });
    await stays?.next("message");
    for (const stream of over) expect(await endOf(stream)).toBe("ABORTED");
    stays?.cancel();
  });

  test("says SESSION_REPLACED also to who listens", async () => {
    const user = await server.login("listening");
    const before = server.server.stats().sessions;
    const failure = failureOf((o) => user.chat.listen({}, o));
    await eventually(() => server.server.stats().sessions === before + 1);
    const stream = user.stream();
    await stream.open();
    expect(await failure).toMatchObject(refusal("ABORTED", "SESSION_REPLACED"));
    stream.cancel();
  });
});

test("a stream that did no wrong got exactly its own events, in order", async () => {
  await note("the last");
  await witness.until(() => witness.texts().at(-1) === "the last");
  expect(witness.texts()).toEqual(witnessed);
  expect(witness.all("message").map(({ seq }) => seq)).toEqual(witnessed.map((_, i) => BigInt(i + 1)));
  expect(new Set(witness.events.map(({ event }) => event.case))).toEqual(
    new Set(["opened", "caughtUp", "message"]),
  );
  await goesOn(witness);
  witness.halfClose();
  expect(await endOf(witness)).toBeUndefined();
  await eventually(() => server.server.stats().sessions === 0);
});
