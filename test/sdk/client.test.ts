import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type ClientEvent,
  type ConnectOptions,
  connect,
  ErrorReason,
  JoinPolicy,
  type ParlanceClient,
  ParlanceError,
  Status,
} from "../../clients/typescript/index.ts";
import type { RunningServer } from "../../src/host/server.ts";
import { serve, temporaryFolder, until } from "./server.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: RunningServer;
let users = 0;

beforeAll(async () => {
  folder = await temporaryFolder();
  server = await serve(folder.path);
});

afterAll(async () => {
  expect(server.stats().sessions).toBe(0);
  await server.close();
  await folder.remove();
});

/** A user id that no other test has. */
function someone(name: string): string {
  return `${name}-${++users}`;
}

function join(userId: string, options: Partial<ConnectOptions> = {}): Promise<ParlanceClient> {
  return connect({ address: server.address, credentials: { devUserId: userId }, ...options });
}

/** Connects a user and collects what they are shown. */
async function collect(userId: string, options: Partial<ConnectOptions> = {}) {
  const events: ClientEvent[] = [];
  const client = await join(userId, { ...options, onEvent: (event) => events.push(event) });
  const texts = () => events.flatMap((event) => textOf(event) ?? []);
  return { client, events, texts };
}

function textOf(event: ClientEvent): string | undefined {
  if (event.case !== "message") return undefined;
  const kind = event.value.content?.kind;
  return kind?.case === "text" ? kind.value.body : undefined;
}

async function failureOf(promise: Promise<unknown>): Promise<ParlanceError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ParlanceError);
  return error as ParlanceError;
}

describe("sending", () => {
  test("a message reaches the other user and the sender's own stream", async () => {
    const [alice, bob] = [await collect(someone("alice")), await collect(someone("bob"))];
    const sent = await alice.client.sendDirect(bob.client.userId, "Hello, Bob!\ufeff \u0000\n");
    await until(() => alice.texts().length + bob.texts().length === 2, "both see it");
    expect(bob.texts()).toEqual(["Hello, Bob!\ufeff \u0000\n"]);
    expect(sent.seq).toBe(1n);
    await Promise.all([alice.client.close(), bob.client.close()]);
  });

  test("a send repeated with its id has one effect, over the stream and as a call", async () => {
    const [alice, caller] = [await join(someone("alice")), await join(someone("x"), { stream: false })];
    const bob = someone("bob");
    const first = await alice.sendDirect(bob, "once", { clientMessageId: "one" });
    const again = await alice.sendDirect(bob, "once", { clientMessageId: "one" });
    expect(again).toMatchObject({ messageId: first.messageId, seq: first.seq, duplicate: true });
    const called = await caller.sendDirect(bob, "once", { clientMessageId: "one" });
    expect(await caller.sendDirect(bob, "once", { clientMessageId: "one" })).toMatchObject({
      messageId: called.messageId,
      duplicate: true,
    });
    await Promise.all([alice.close(), caller.close()]);
  });

  test("a refusal is a typed error with the fields that are wrong", async () => {
    const clients = [await join(someone("alice")), await join(someone("alice"), { stream: false })];
    for (const client of clients) {
      const unknown = await failureOf(client.sendGroup("no-such-group", "hi"));
      expect(unknown).toMatchObject({ code: Status.NOT_FOUND, reason: ErrorReason.GROUP_NOT_FOUND });
      const empty = await failureOf(client.sendDirect("bob", ""));
      expect(empty).toMatchObject({ code: Status.INVALID_ARGUMENT, reason: ErrorReason.INVALID_REQUEST });
      expect(empty.violations[0]?.field).toMatch(/text\.body$/);
      await client.close();
    }
  });

  test("sends made without waiting keep their order", async () => {
    const alice = await join(someone("alice"));
    const bob = await collect(someone("bob"));
    const texts = Array.from({ length: 500 }, (_, index) => String(index));
    await Promise.all(texts.map((text) => alice.sendDirect(bob.client.userId, text)));
    await until(() => bob.texts().length === 500, "all arrive");
    expect(bob.texts()).toEqual(texts);
    await Promise.all([alice.close(), bob.client.close()]);
  });

  test("nobody to reach within the deadline is UNAVAILABLE", async () => {
    const error = await failureOf(
      connect({ address: "127.0.0.1:1", credentials: { devUserId: "a" }, connectTimeoutMs: 2_000 }),
    );
    expect(error.code).toBe(Status.UNAVAILABLE);
  });
});

describe("receiving", () => {
  test("an application that does not take events costs bounded memory and gets all in the end", async () => {
    const alice = await join(someone("alice"));
    const bob = await join(someone("bob"), { maxWaitingEvents: 50 });
    const texts = Array.from({ length: 2_000 }, (_, index) => String(index));
    await Promise.all(texts.map((text) => alice.sendDirect(bob.userId, text)));
    // Its own sends are answered although its stream is not read.
    expect((await bob.sendDirect(alice.userId, "I am slow")).seq).toBe(2_001n);

    const taken: string[] = [];
    for await (const event of bob.events()) {
      taken.push(...[textOf(event)].filter((text) => text !== undefined));
      if (taken.length === 2_001) break;
    }
    expect(taken).toEqual([...texts, "I am slow"]);
    await Promise.all([alice.close(), bob.close()]);
  });

  test("what was taken does not come again, the rest does", async () => {
    const alice = await join(someone("alice"));
    const bobId = someone("bob");
    for (const text of ["1", "2", "3"]) await alice.sendDirect(bobId, text);
    const first = await join(bobId);
    for await (const event of first.events()) if (textOf(event) === "2") break;
    await first.close();
    const second = await collect(bobId);
    await until(() => second.texts().length === 2, "what was not taken comes");
    expect(second.texts()).toEqual(["2", "3"]);
    await Promise.all([alice.close(), second.client.close()]);
  });

  test("with manual acknowledgement only what was acknowledged is gone", async () => {
    const alice = await join(someone("alice"));
    const bobId = someone("bob");
    for (const text of ["1", "2", "3"]) await alice.sendDirect(bobId, text);
    const first = await collect(bobId, { ack: "manual" });
    await until(() => first.texts().length === 3, "all come");
    const second = first.events.find((event) => textOf(event) === "2");
    if (second?.cursor) first.client.ack(second.cursor);
    await first.client.close();
    const later = await collect(bobId);
    await until(() => later.texts().length > 0, "the rest comes");
    expect(later.texts()).toEqual(["3"]);
    await Promise.all([alice.close(), later.client.close()]);
  });

  test("whoever missed more than is replayed gets every message, in order, and goes on live", async () => {
    const alice = await join(someone("alice"));
    const [bobId, groupId] = [someone("bob"), someone("group")];
    const before = await collect(bobId);
    await alice.groups.createGroup({ groupId, memberIds: [bobId] });
    await alice.sendGroup(groupId, "g0");
    await until(() => before.texts().length === 1, "the first comes");
    await before.client.close();

    const texts = Array.from({ length: 60 }, (_, index) => String(index));
    for (const text of texts) {
      await alice.sendDirect(bobId, text);
      await alice.sendGroup(groupId, `g${text}`);
    }
    const bob = await collect(bobId, { replayLimit: 10 });
    await alice.sendDirect(bobId, "live");
    await until(() => bob.texts().at(-1) === "live", "live ones come");
    expect(bob.texts().filter((text) => !text.startsWith("g"))).toEqual([...texts, "live"]);
    // What the device acknowledged does not come again, though this client knows nothing of it.
    expect(bob.texts().filter((text) => text.startsWith("g"))).toEqual(texts.map((text) => `g${text}`));
    await bob.client.close();

    const again = await collect(bobId);
    await until(() => again.events.some((event) => event.case === "caughtUp"), "it catches up");
    expect(again.texts()).toEqual([]);
    await Promise.all([alice.close(), again.client.close()]);
  });

  test("typing, presence and receipts come as they happen", async () => {
    const alice = await collect(someone("alice"));
    const bobId = someone("bob");
    await alice.client.watchPresence([bobId]);
    const bob = await collect(bobId);
    const { conversationId } = await alice.client.sendDirect(bobId, "read me");
    bob.client.setTyping({ recipientId: alice.client.userId }, true);
    const conversation = await bob.client.markRead(conversationId, 1n);
    expect(conversation.readSeq).toBe(1n);
    const cases = () => alice.events.map((event) => event.case);
    await until(
      () => ["typing", "presence", "receipt"].every((each) => cases().includes(each as never)),
      "all three",
    );
    await Promise.all([alice.client.close(), bob.client.close()]);
  });
});

describe("a session's end", () => {
  test("a second stream of the device ends the first with an error", async () => {
    const userId = someone("alice");
    const first = await join(userId);
    const states: string[] = [];
    first.onState((state) => states.push(state));
    const second = await join(userId);
    const error = await failureOf(
      (async () => {
        for await (const _ of first.events());
      })(),
    );
    expect(error.reason).toBe(ErrorReason.SESSION_REPLACED);
    expect(states).toEqual(["closed"]);
    await Promise.all([first.close(), second.close()]);
  });

  test("a logout ends the client", async () => {
    const client = await join(someone("alice"));
    const events = failureOf(
      client
        .events()
        .next()
        .then(() => client.events().next()),
    );
    await client.chat.logout({ allDevices: true });
    expect((await events).reason).toBe(ErrorReason.SESSION_LOGGED_OUT);
    await client.close();
  });

  test("a token that expired is exchanged without the application noticing", async () => {
    const shortFolder = await temporaryFolder();
    const short = await serve(shortFolder.path, { sessionTtlSeconds: "2" });
    const address = short.address;
    const alice = await connect({ address, credentials: { devUserId: "alice" } });
    const bob = await collect("bob", { address });
    for (let i = 0; i < 12; i++) {
      await alice.sendDirect("bob", String(i));
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    await until(() => bob.texts().length === 12, "all come");
    expect(bob.texts()).toEqual(Array.from({ length: 12 }, (_, index) => String(index)));
    expect(bob.client.stats.reconnects).toBeGreaterThan(0);
    await Promise.all([alice.close(), bob.client.close()]);
    await short.close();
    await shortFolder.remove();
  });

  test("a getToken that fails is a ParlanceError", async () => {
    const getToken = () => Promise.reject(new Error("no token service"));
    const error = await failureOf(connect({ address: server.address, credentials: { getToken } }));
    expect(error.cause).toEqual(new Error("no token service"));
  });

  test("calls after closing fail and the iteration is over", async () => {
    const client = await join(someone("alice"));
    await client.close();
    expect(client.state).toBe("closed");
    expect((await failureOf(client.sendDirect("bob", "too late"))).code).toBe(Status.CANCELLED);
    expect((await client.events().next()).done).toBe(true);
  });

  test("a program that closes its clients ends", async () => {
    const example = new URL("../../examples/hello.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [example, server.address], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(0);
    expect(output).toBe("alice: Hello, Bob!\n");
  });
});

test("members of an open group come and go", async () => {
  const owner = await join(someone("owner"));
  const groupId = someone("group");
  await owner.groups.createGroup({ groupId, joinPolicy: JoinPolicy.OPEN });
  const bob = await collect(someone("bob"));
  for (const round of ["1", "2"]) {
    await bob.client.groups.joinGroup({ groupId });
    await owner.sendGroup(groupId, `seen ${round}`);
    await bob.client.groups.leaveGroup({ groupId });
    await owner.sendGroup(groupId, `unseen ${round}`);
  }
  await owner.sendDirect(bob.client.userId, "the end");
  await until(() => bob.texts().includes("the end"), "the last comes");
  expect(bob.texts()).toEqual(["seen 1", "seen 2", "the end"]);
  expect(bob.client.stats.gaps).toBe(0);
  await Promise.all([owner.close(), bob.client.close()]);
});

test("content larger than the server takes is refused before it is sent, and the stream lives on", async () => {
  const { client } = await collect(someone("heavy"));
  const peer = someone("peer");
  const custom = { typeUrl: "type.example.com/Blob", value: new Uint8Array(140_000) };
  const refused = await failureOf(client.sendDirect(peer, { kind: { case: "custom", value: custom } }));
  expect(refused.reason).toBe(ErrorReason.CONTENT_TOO_LARGE);
  expect(client.state).toBe("live");
  expect(await client.sendDirect(peer, "small")).toMatchObject({ seq: 1n });
  await client.close();
});
