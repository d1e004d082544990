/** How the model works with a server, played here by a log in memory. */

import { create } from "@bufbuild/protobuf";
import { describe, expect, onTestFinished, test } from "vitest";
import { listed, withConversation, withOpen } from "../../../clients/model/conversations.ts";
import { History } from "../../../clients/model/history.ts";
import { Outbox } from "../../../clients/model/outbox.ts";
import { Reading } from "../../../clients/model/reading.ts";
import type { ServerCalls } from "../../../clients/model/server-calls.ts";
import { type ChatState, changeConversation, emptyChat } from "../../../clients/model/state.ts";
import { Store } from "../../../clients/model/store.ts";
import { Sync } from "../../../clients/model/sync.ts";
import {
  type ClientEvent,
  ErrorReason,
  MembershipChange,
  ParlanceError,
  Role,
  Status,
} from "../../../clients/typescript/index.ts";
import { ListConversationsResponseSchema } from "../../../gen/parlance/chat/v1/conversation_service_pb.js";
import { BehindSchema } from "../../../gen/parlance/chat/v1/event_pb.js";
import {
  GetGroupResponseSchema,
  ListMyGroupsResponseSchema,
} from "../../../gen/parlance/chat/v1/group_service_pb.js";
import { type ChatMessage, SendResultSchema } from "../../../gen/parlance/chat/v1/message_pb.js";
import { ListMessagesResponseSchema } from "../../../gen/parlance/chat/v1/message_service_pb.js";
import { eventually } from "../../support/eventually.ts";
import { apply, changed, conversation, direct, said, seqs, team } from "./events.ts";

const unreachable = new ParlanceError(Status.UNAVAILABLE, "the server cannot be reached");
const absent = new ParlanceError(Status.NOT_FOUND, "there is none", {
  reason: ErrorReason.CONVERSATION_NOT_FOUND,
});
const inWords = (error: unknown) => (error as Error).message;

/** A server with one conversation, whose messages are `log`, and a group. Calls can be replaced. */
class LogServer implements ServerCalls {
  log: ChatMessage[] = [];
  readonly read: [string, bigint][] = [];

  async listConversations() {
    const last = this.log.at(-1);
    return create(ListConversationsResponseSchema, {
      conversations: last
        ? [
            {
              conversationId: direct,
              target: { case: "peerUserId", value: "bob" },
              lastSeq: last.seq,
              lastMessage: last,
              unreadCount: this.log.length,
            },
          ]
        : [],
    });
  }

  async listMyGroups() {
    return create(ListMyGroupsResponseSchema, {});
  }

  async getGroup({ groupId = "" }) {
    const group = { groupId, name: "The team", conversationId: `g:${groupId}` };
    return create(GetGroupResponseSchema, { group, me: { groupId, userId: "alice", role: Role.ADMIN } });
  }

  async listMessages({ beforeSeq = 0n, pageSize = 0 }: Parameters<ServerCalls["listMessages"]>[0]) {
    const before = this.log.filter(({ seq }) => seq < (beforeSeq as bigint));
    const messages = before.slice(-pageSize);
    return create(ListMessagesResponseSchema, {
      messages,
      nextPageToken: messages.length < before.length ? "more" : "",
    });
  }

  async markRead(conversationId: string, upToSeq: bigint): Promise<unknown> {
    this.read.push([conversationId, upToSeq]);
    return undefined;
  }

  send: ServerCalls["send"] = async (_target, _text, clientMessageId) =>
    create(SendResultSchema, { seq: 1n, clientMessageId });

  /** Has something said, and returns its event. */
  say(senderId = "bob", clientMessageId = ""): ClientEvent {
    const event = said(this.log.length + 1, senderId, { clientMessageId });
    if (event.case === "message") this.log.push(event.value);
    return event;
  }
}

function started() {
  const server = new LogServer();
  const store = new Store<ChatState>(emptyChat("alice"));
  return { server, store };
}

function behind(more = false): ClientEvent {
  const value = create(BehindSchema, { lastSeqs: { [direct]: 3n }, more });
  return { case: "behind", value, cursor: undefined };
}

/** Makes a call wait, or fail, until it is let go on. */
function gate() {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { passed: promise, open: resolve, fail: reject };
}

describe("in step with the server", () => {
  function synced(failed: unknown[] = []) {
    const { server, store } = started();
    const taken: unknown[] = [];
    const sync = new Sync({
      store,
      calls: server,
      onTaken: (event) => void taken.push(event.case),
      onListed: () => {},
      onFailed: (error) => void failed.push(error),
    });
    onTestFinished(() => sync.stop());
    return { server, store, sync, taken, failed };
  }

  test("what is listed and comes as an event too is counted once", async () => {
    const { server, store, sync } = synced();
    sync.take(server.say());
    sync.take(server.say());
    await sync.start();
    sync.take(server.say());
    expect(conversation(store.get())).toMatchObject({ unread: 3, lastSeq: 3, lastMessage: { seq: 3 } });
  });

  test("who was behind has the lists anew before the cursor is taken, and no history with a hole", async () => {
    const { server, store, sync, taken } = synced();
    const other = "d:alice:zoe";
    await sync.start();
    sync.take(server.say());
    store.update((state) => withConversation(state, other));
    const history = new History(store, server, inWords);
    await Promise.all([history.loadOlder(direct), history.loadOlder(other)]);
    expect(seqs(store.get())).toEqual([1]);
    server.say();
    server.say();
    sync.take(behind(true));
    expect(taken).toEqual(["message"]);
    sync.take(behind());
    sync.take(server.say());
    await eventually(() => taken.length === 3);
    expect(taken).toEqual(["message", "behind", "message"]);
    expect(conversation(store.get())).toMatchObject({ lastSeq: 4, unread: 4 });
    expect(seqs(store.get())).toBeUndefined();
    expect(seqs(store.get(), other)).toEqual([]);
  });

  test("who is told to be behind while the lists come for the first time has them once more, and goes on", async () => {
    const { server, store, sync, taken } = synced();
    const starting = sync.start();
    sync.take(behind());
    server.say();
    sync.take(server.say());
    await starting;
    await eventually(() => taken.length === 2);
    expect(taken).toEqual(["behind", "message"]);
    expect(conversation(store.get())).toMatchObject({ lastSeq: 2, unread: 2 });
  });

  test("after a reset the log begins anew, and what is on its way stays so", async () => {
    const { server, store, sync } = synced();
    for (let i = 0; i < 5; i++) server.say();
    await sync.start();
    const outgoing = {
      kind: "outgoing",
      clientMessageId: "x",
      text: "hi",
      timeMs: 1,
      state: "sending",
    } as const;
    store.update((state) =>
      changeConversation(state, direct, (former) => ({ ...former, outgoing: [outgoing] })),
    );
    server.log = server.log.slice(0, 2);
    sync.take({ case: "reset", value: { formerEpoch: "before" }, cursor: undefined });
    await eventually(() => conversation(store.get()).lastSeq === 2);
    expect(conversation(store.get())).toMatchObject({
      unread: 2,
      lastMessage: { seq: 2 },
      outgoing: [outgoing],
    });
  });

  test("lists that do not come are asked for again, which is said once, and events wait", async () => {
    const { server, store, sync, failed } = synced();
    server.listMyGroups = () => Promise.reject(unreachable);
    await expect(sync.start()).rejects.toBe(unreachable);
    expect(failed).toEqual([]);
    sync.retry();
    await eventually(() => failed.length === 1);
    sync.take(server.say());
    expect(store.get().conversations.size).toBe(0);
    server.listMyGroups = LogServer.prototype.listMyGroups;
    await eventually(() => store.get().conversations.size === 1);
    expect(failed).toEqual([unreachable]);
  });

  test("of a group that one is added to, the settings and one's role are asked for", async () => {
    const { store, sync } = synced();
    await sync.start();
    sync.take(changed(2, MembershipChange.ADDED, ["alice"]));
    await eventually(() => store.get().groups.get("team")?.role === Role.ADMIN);
    expect(listed(store.get())).toMatchObject([{ id: team }]);
    expect(store.get().groups.get("team")?.group.name).toBe("The team");
  });
});

describe("the history", () => {
  test("comes a page at a time, as much as is asked for, to its beginning", async () => {
    const { server, store } = started();
    for (let i = 0; i < 250; i++) store.update((state) => apply(state, server.say()));
    const history = new History(store, server, inWords);
    await history.open(direct);
    expect(seqs(store.get())).toHaveLength(100);
    await history.open(direct);
    expect(await history.loadOlder(direct, 120)).toBe(120);
    expect(conversation(store.get()).timeline).toMatchObject({ older: "more", from: 31 });
    expect(await history.loadOlder(direct)).toBe(30);
    expect(conversation(store.get()).timeline).toMatchObject({ older: "none", from: 0 });
    expect(await history.loadOlder(direct)).toBe(0);
    expect(seqs(store.get())).toEqual(server.log.map(({ seq }) => Number(seq)));
  });

  test("that fails to come says why, and is tried again when somebody looks", async () => {
    const { server, store } = started();
    store.update((state) => apply(state, server.say()));
    const history = new History(store, server, inWords);
    server.listMessages = () => Promise.reject(unreachable);
    await history.open(direct);
    expect(conversation(store.get()).timeline).toMatchObject({
      older: "failed",
      problem: "the server cannot be reached",
    });
    server.listMessages = LogServer.prototype.listMessages;
    await history.open(direct);
    expect(conversation(store.get()).timeline).not.toHaveProperty("problem");
    expect(seqs(store.get())).toEqual([1]);
  });

  test("that nobody knows of is empty, and of somebody new it is not even asked for", async () => {
    const { server, store } = started();
    let asked = 0;
    server.listMessages = () => {
      asked++;
      return Promise.reject(absent);
    };
    store.update((state) => withConversation(withConversation(state, direct), team));
    const history = new History(store, server, inWords);
    await history.open(direct);
    expect(asked).toBe(0);
    await history.open(team);
    expect(asked).toBe(1);
    for (const id of [direct, team])
      expect(conversation(store.get(), id).timeline).toMatchObject({ older: "none", entries: [] });
  });

  test("on its way is let go when the history was begun anew meanwhile", async () => {
    const { server, store } = started();
    store.update((state) => apply(state, server.say()));
    const { passed, open } = gate();
    server.listMessages = async (request) => {
      const page = await LogServer.prototype.listMessages.call(server, request);
      await passed;
      return page;
    };
    const history = new History(store, server, inWords);
    const first = history.open(direct);
    store.update((state) => changeConversation(state, direct, ({ timeline, ...former }) => former));
    const second = history.open(direct);
    store.update((state) => apply(state, server.say()));
    const { id } = conversation(store.get()).timeline ?? {};
    open();
    await Promise.all([first, second]);
    expect(conversation(store.get()).timeline?.id).toBe(id);
    expect(seqs(store.get())).toEqual([1, 2]);
  });
});

describe("what is sent", () => {
  function sending() {
    const { server, store } = started();
    store.update((state) => withConversation(state, direct));
    const outbox = new Outbox(store, server, inWords);
    return { server, store, outbox, outgoing: () => conversation(store.get()).outgoing };
  }

  test("goes one after the other, and is a message once it is answered", async () => {
    const { server, store, outbox, outgoing } = sending();
    await new History(store, server, inWords).open(direct);
    const gates = [gate(), gate()];
    const asked: string[] = [];
    server.send = async (_target, text, clientMessageId) => {
      asked.push(text);
      await gates[asked.length - 1]?.passed;
      return create(SendResultSchema, { seq: BigInt(asked.length), clientMessageId });
    };
    outbox.send(direct, "one");
    outbox.send(direct, "two");
    expect(outgoing().map(({ text, state }) => [text, state])).toEqual([
      ["one", "sending"],
      ["two", "sending"],
    ]);
    await eventually(() => asked.length === 1);
    gates[0]?.open();
    await eventually(() => asked.length === 2);
    expect(outgoing().map(({ text }) => text)).toEqual(["two"]);
    gates[1]?.open();
    await eventually(() => outgoing().length === 0);
    expect(seqs(store.get())).toEqual([1, 2]);
    // Nothing but events is counted.
    expect(conversation(store.get())).toMatchObject({ lastSeq: 0, unread: 0, lastMessage: { text: "two" } });
  });

  test.each(["answer", "event"])("is there once, also when the %s comes first", async (first) => {
    const { server, store, outbox, outgoing } = sending();
    await new History(store, server, inWords).open(direct);
    const { passed, open } = gate();
    server.send = async (_target, _text, clientMessageId) => {
      await passed;
      return create(SendResultSchema, { seq: 1n, clientMessageId });
    };
    outbox.send(direct, "hi");
    const event = server.say("alice", outgoing()[0]?.clientMessageId);
    const arrive = () => store.update((state) => apply(state, event));
    if (first === "event") arrive();
    open();
    await eventually(() => outgoing().length === 0);
    if (first === "answer") arrive();
    await Promise.resolve();
    expect(seqs(store.get())).toEqual([1]);
    expect(conversation(store.get())).toMatchObject({ lastSeq: 1, unread: 0, outgoing: [] });
  });

  test("and fails says why, and can be sent again under its id or given up", async () => {
    const { server, outbox, outgoing } = sending();
    server.send = () => Promise.reject(unreachable);
    outbox.send(direct, "hi");
    await eventually(() => outgoing()[0]?.state === "failed");
    const [failed] = outgoing();
    if (failed === undefined) throw new Error("nothing failed");
    expect(failed.problem).toBe("the server cannot be reached");
    const ids: string[] = [];
    server.send = (_target, _text, clientMessageId) => {
      ids.push(clientMessageId);
      return Promise.reject(unreachable);
    };
    outbox.resend(direct, failed);
    expect(outgoing()).toEqual([expect.not.objectContaining({ problem: expect.anything() })]);
    await eventually(() => outgoing()[0]?.state === "failed");
    expect(ids).toEqual([failed.clientMessageId]);
    outbox.discard(direct, failed.clientMessageId);
    expect(outgoing()).toEqual([]);
  });

  test("and has arrived although no answer came does not fail", async () => {
    const { server, store, outbox, outgoing } = sending();
    const { passed, fail } = gate();
    server.send = async () => {
      await passed;
      throw unreachable;
    };
    outbox.send(direct, "hi");
    const { clientMessageId } = outgoing()[0] ?? {};
    store.update((state) => apply(state, server.say("alice", clientMessageId)));
    fail(unreachable);
    outbox.send(direct, "next");
    await eventually(() => outgoing()[0]?.state === "failed");
    expect(outgoing().map(({ text }) => text)).toEqual(["next"]);
  });
});

describe("what is read", () => {
  function reading() {
    const { server, store } = started();
    store.update((state) => withOpen(apply(state, server.say(), server.say()), direct));
    return { server, store, reading: new Reading(store, server) };
  }

  test("is marked at once, told at once, and then together for a while", async () => {
    const { server, store, reading: marks } = reading();
    marks.markRead(direct);
    expect(conversation(store.get())).toMatchObject({ readSeq: 2, unread: 0 });
    for (let i = 0; i < 5; i++) {
      store.update((state) => apply(state, server.say()));
      marks.markRead(direct);
    }
    await eventually(() => server.read.length >= 2);
    expect(server.read).toEqual([
      [direct, 2n],
      [direct, 7n],
    ]);
  });

  test("is told later when the server cannot be reached, unless the conversation is gone", async () => {
    const { server, reading: marks } = reading();
    const answers = [unreachable, absent];
    server.markRead = (id, seq) => {
      server.read.push([id, seq]);
      const error = answers.shift();
      return error === undefined ? Promise.resolve() : Promise.reject(error);
    };
    marks.markRead(direct);
    await eventually(() => server.read.length === 1);
    await marks.flush();
    await eventually(() => server.read.length === 2);
    await marks.flush();
    expect(server.read).toEqual([
      [direct, 2n],
      [direct, 2n],
    ]);
  });

  test("says nothing of one's own messages alone", async () => {
    const { server, store, reading: marks } = reading();
    marks.markRead(direct);
    store.update((state) => apply(state, server.say("alice")));
    marks.markRead(direct);
    expect(conversation(store.get()).readSeq).toBe(3);
    await marks.flush();
    expect(server.read).toEqual([[direct, 2n]]);
  });
});
