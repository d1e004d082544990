import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { ReceiptKind } from "../../gen/parlance/chat/v1/conversation_pb.js";
import { Platform } from "../../gen/parlance/chat/v1/device_pb.js";
import { mintToken } from "../../src/auth/mint.ts";
import { createHost, missingNetwork } from "../faults/disturb/network.ts";
import { testUnless } from "../support/describe-unless.ts";
import { failureIn } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { exitOf } from "../support/serve-child.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({
    keepaliveTimeMs: 1_000,
    keepaliveIdleTimeMs: 1_000,
    keepaliveTimeoutMs: 1_000,
  });
});
afterAll(() => server.close());

const streams: TestStream[] = [];
const children: { child: ChildProcess; exited: Promise<unknown> }[] = [];
afterEach(async () => {
  for (const stream of streams.splice(0)) stream.cancel();
  for (const { child, exited } of children.splice(0)) {
    child.kill("SIGKILL");
    await exited;
  }
});

/** Logs a user in and opens a stream. */
async function come(userId: string, deviceId?: string): Promise<{ user: UserClients; stream: TestStream }> {
  const user = await server.login(userId, deviceId);
  const stream = user.stream();
  streams.push(stream);
  await stream.open();
  return { user, stream };
}

/** Opens a stream that watches users, and waits for their present state. */
async function watch(userId: string, userIds: string[]): Promise<TestStream> {
  const { stream } = await come(userId);
  stream.send({ case: "watchPresence", value: { userIds } }, "watch");
  await stream.next("done");
  return stream;
}

/** Starts a client process that keeps a stream open. */
async function startClient(
  userId: string,
  address = server.address,
  { wrapper = [] as readonly string[], token = "" } = {},
): Promise<ChildProcess> {
  const path = fileURLToPath(new URL("presence-client.ts", import.meta.url));
  const args = [path, address, userId, ...(token === "" ? [] : [token])];
  const [command = "", ...rest] = [...wrapper, process.execPath, ...args];
  const child = spawn(command, rest, {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  const exited = exitOf(child);
  children.push({ child, exited });
  await Promise.race([
    new Promise<void>((resolve) => child.stdout.once("data", () => resolve())),
    exited.then((how) => Promise.reject(new Error(`the client ended with ${how}`))),
  ]);
  return child;
}

/** What a watcher was told of a user, in order: whether they are online. */
function told(stream: TestStream, userId: string): boolean[] {
  return stream.all("presence").flatMap((presence) => (presence.userId === userId ? [presence.online] : []));
}

const hears = (stream: TestStream, userId: string, expected: boolean[]) =>
  stream
    .until(() => told(stream, userId).length >= expected.length, `presence of ${userId}`)
    .then(() => {
      expect(told(stream, userId)).toEqual(expected);
    });

test("who watches users is told their present state, their coming and their going", async () => {
  await come("p-here");
  const watcher = await watch("p-watcher", ["p-here", "p-comes", "p-never"]);
  expect(told(watcher, "p-here")).toEqual([true]);
  expect(told(watcher, "p-comes")).toEqual([false]);
  const never = watcher.all("presence").find(({ userId }) => userId === "p-never");
  expect(never).toMatchObject({ online: false, platforms: [] });
  expect(never?.lastActiveTime).toBeUndefined();

  const { stream } = await come("p-comes");
  await hears(watcher, "p-comes", [false, true]);
  expect(watcher.all("presence").at(-1)?.lastActiveTime).toBeDefined();
  stream.cancel();
  await hears(watcher, "p-comes", [false, true, false]);
  const { presences } = await (await server.login("p-other")).presence.getPresence({
    userIds: ["p-comes", "p-here", "p-never"],
  });
  expect(presences.map(({ userId, online }) => [userId, online])).toEqual([
    ["p-comes", false],
    ["p-here", true],
    ["p-never", false],
  ]);
});

test("the event that tells of a user's going says when they were last active", async () => {
  const watcher = await watch("active-watcher", ["active-user"]);
  const before = Date.now();
  const { stream } = await come("active-user");
  stream.cancel();
  await hears(watcher, "active-user", [false, true, false]);
  const { lastActiveTime } = watcher.all("presence").at(-1) ?? {};
  expect(lastActiveTime).toBeDefined();
  expect(timestampMs(lastActiveTime as NonNullable<typeof lastActiveTime>)).toBeGreaterThanOrEqual(before);
});

test("a going is told though the clock was set back an hour meanwhile", async () => {
  const watcher = await watch("clock-watcher", ["clock-user"]);
  const { stream, user } = await come("clock-user");
  const other = await server.login("clock-other");
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
  onTestFinished(() => void vi.useRealTimers());
  stream.cancel();
  await eventually(async () => {
    const { presences } = await other.presence.getPresence({ userIds: [user.userId] });
    return presences[0]?.online === false;
  });
  vi.useRealTimers();
  await hears(watcher, "clock-user", [false, true, false]);
});

test("a user is online while any of their devices is, and each device's platform shows", async () => {
  const { stream: phone } = await come("many", "phone");
  const laptop = await server.login("many", "laptop");
  const { presence } = laptop;
  const laptopStream = laptop.stream();
  streams.push(laptopStream);
  await laptopStream.open();
  const watcher = await watch("many-watcher", ["many"]);
  expect((await presence.getPresence({ userIds: ["many"] })).presences[0]?.platforms).toEqual([
    Platform.UNSPECIFIED,
    Platform.UNSPECIFIED,
  ]);
  phone.cancel();
  await phone.ended;
  laptopStream.cancel();
  await hears(watcher, "many", [true, false]);
});

test("a reconnect within a second shows to nobody", async () => {
  const { user, stream: first } = await come("flicker");
  let stream = first;
  const watcher = await watch("flicker-watcher", ["flicker", "flicker-fence"]);
  for (let i = 0; i < 3; i++) {
    stream.cancel();
    stream = user.stream();
    streams.push(stream);
    await stream.open();
  }
  const { stream: fence } = await come("flicker-fence");
  fence.cancel();
  await hears(watcher, "flicker-fence", [false, true, false]);
  expect(told(watcher, "flicker")).toEqual([true]);
});

test("who begins to watch between a user's going and coming back sees them online", async () => {
  const watcher = await come("gap-watcher");
  const { stream } = await come("gap-user");
  const { sessions } = server.server.stats();
  stream.cancel();
  await eventually(() => server.server.stats().sessions === sessions - 1);
  watcher.stream.send({ case: "watchPresence", value: { userIds: ["gap-user"] } }, "watch");
  await watcher.stream.next("done");
  await come("gap-user");
  await eventually(() => told(watcher.stream, "gap-user").at(-1) === true);
});

test("a client process that is killed is soon offline", async () => {
  const watcher = await watch("kill-watcher", ["killed"]);
  const child = await startClient("killed");
  await hears(watcher, "killed", [false, true]);
  child.kill("SIGKILL");
  await hears(watcher, "killed", [false, true, false]);
});

test("a client that is held up for three seconds stays online", async () => {
  const patient = await startTestServer({ keepaliveTimeMs: 500, keepaliveIdleTimeMs: 500 });
  onTestFinished(() => patient.close());
  const client = await startClient("busy", patient.address);
  const watching = (await patient.login("busy-watcher")).stream();
  onTestFinished(() => watching.cancel());
  await watching.open();
  watching.send({ case: "watchPresence", value: { userIds: ["busy", "busy-fence"] } }, "watch");
  await watching.next("done");

  client.kill("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  client.kill("SIGCONT");
  // Whoever goes after the thaw is told of after whoever went before.
  const fence = (await patient.login("busy-fence")).stream();
  await fence.open();
  fence.cancel();
  await hears(watching, "busy-fence", [false, true, false]);
  expect(told(watching, "busy")).toEqual([true]);
  client.kill("SIGKILL");
  await hears(watching, "busy", [true, false]);
});

test("a client process that is frozen is offline once it does not answer the server's pings", async () => {
  const watcher = await watch("freeze-watcher", ["frozen"]);
  const child = await startClient("frozen");
  await hears(watcher, "frozen", [false, true]);
  child.kill("SIGSTOP");
  await hears(watcher, "frozen", [false, true, false]);
});

testUnless(
  missingNetwork(),
  "a client to which nothing is sent is offline after its cable is pulled, found by the probes of TCP alone",
  async () => {
    const jwtSecret = "a secret for hosts that are reached by others";
    const host = createHost("presence");
    onTestFinished(() => host.close());
    // Without pings, so that the system's probes alone find it.
    const reachable = await startTestServer({
      host: host.hostAddress,
      auth: "jwt",
      jwtSecret,
      keepaliveTimeMs: 600_000,
      keepaliveIdleTimeMs: 600_000,
    });
    onTestFinished(() => reachable.close());
    const tokenOf = (userId: string) => mintToken({ secret: jwtSecret, userId, ttlSeconds: 600 });
    const watching = reachable.as({ authorization: `Bearer ${await tokenOf("cable-watcher")}` }).stream();
    onTestFinished(() => watching.cancel());
    await watching.open();
    watching.send({ case: "watchPresence", value: { userIds: ["cable"] } }, "watch");
    await watching.next("done");
    await startClient("cable", reachable.address, { wrapper: host.wrapper, token: await tokenOf("cable") });
    await hears(watching, "cable", [false, true]);
    // Until nothing is under way.
    await delay(500);
    host.pullCable();
    await eventually(() => told(watching, "cable").at(-1) === false);
  },
);

test("typing reaches the peer on all devices, and never the one who types", async () => {
  const { stream: alice } = await come("t-alice", "phone");
  const { stream: tablet } = await come("t-alice", "tablet");
  const [{ stream: bob }, { stream: laptop }] = await Promise.all([
    come("t-bob", "phone"),
    come("t-bob", "laptop"),
  ]);
  alice.send(
    { case: "setTyping", value: { target: { case: "recipientId", value: "t-bob" }, typing: true } },
    "on",
  );
  await alice.next("done");
  for (const stream of [bob, laptop]) {
    expect(await stream.next("typing")).toMatchObject({
      conversationId: "d:t-alice:t-bob",
      userId: "t-alice",
      typing: true,
    });
  }
  alice.send({
    case: "setTyping",
    value: { target: { case: "recipientId", value: "t-bob" }, typing: false },
  });
  await bob.next("typing", ({ typing }) => !typing);
  // Were it told to the typer too, it would come before this.
  for (const stream of [alice, tablet]) {
    stream.send({ case: "ping", value: {} });
    await stream.next("pong");
    expect(stream.all("typing")).toEqual([]);
  }
});

test("typing in a group reaches its members and nobody else", async () => {
  const { user, stream: alice } = await come("g-alice");
  const { stream: bob } = await come("g-bob");
  const { user: former, stream: formerStream } = await come("g-former");
  const { stream: outsider } = await come("g-outsider");
  const groupId = "typing-group";
  await user.groups.createGroup({ groupId, memberIds: ["g-bob", "g-former"] });
  await former.groups.leaveGroup({ groupId });
  const typing = {
    case: "setTyping" as const,
    value: { target: { case: "groupId" as const, value: groupId }, typing: true },
  };
  for (const stream of [outsider, formerStream]) {
    stream.send(typing, "no");
    expect(failureIn(await stream.next("refusal"))).toMatchObject({ reasonName: "GROUP_NOT_FOUND" });
  }
  alice.send(typing, "on");
  await alice.next("done");
  expect(await bob.next("typing")).toMatchObject({
    conversationId: `g:${groupId}`,
    userId: "g-alice",
    typing: true,
  });
  expect(bob.all("typing")).toHaveLength(1);
  for (const stream of [alice, outsider, formerStream]) {
    stream.send({ case: "ping", value: {} });
    await stream.next("pong");
    expect(stream.all("typing")).toEqual([]);
  }
});

test("a receipt reaches the peer and all devices of the reader", async () => {
  const { user: alice, stream: aliceStream } = await come("r-alice");
  const { user: bob, stream: phone } = await come("r-bob", "phone");
  const { stream: laptop } = await come("r-bob", "laptop");
  const { stream: stranger } = await come("r-stranger");
  for (let i = 0; i < 3; i++) await alice.chat.sendDirect({ recipientId: "r-bob", content: text("hello") });
  const { conversation } = await bob.conversations.markRead({
    conversationId: "d:r-alice:r-bob",
    upToSeq: 2n,
  });
  expect(conversation).toMatchObject({ readSeq: 2n, unreadCount: 1 });
  for (const stream of [aliceStream, laptop]) {
    expect(await stream.next("receipt")).toMatchObject({
      conversationId: "d:r-alice:r-bob",
      userId: "r-bob",
      kind: ReceiptKind.READ,
      upToSeq: 2n,
    });
  }
  // A lower seq says nothing new.
  await bob.conversations.markRead({ conversationId: "d:r-alice:r-bob", upToSeq: 1n });
  phone.send({ case: "markRead", value: { conversationId: "d:r-alice:r-bob", upToSeq: 3n } }, "read");
  expect(await phone.next("conversation")).toMatchObject({ readSeq: 3n, unreadCount: 0 });
  await laptop.next("receipt", ({ upToSeq }) => upToSeq === 3n);
  expect(laptop.all("receipt").map(({ upToSeq }) => upToSeq)).toEqual([2n, 3n]);
  stranger.send({ case: "ping", value: {} });
  await stranger.next("pong");
  expect(stranger.all("receipt")).toEqual([]);
});

test("nothing ephemeral is repeated after a reconnect", async () => {
  const { user: alice, stream: aliceStream } = await come("e-alice");
  const { user: bob, stream } = await come("e-bob");
  const { cursor } = stream.all("opened")[0] ?? {};
  stream.send({ case: "watchPresence", value: { userIds: ["e-alice"] } }, "watch");
  await stream.next("done");
  await alice.chat.sendDirect({ recipientId: "e-bob", content: text("hello") });
  await bob.chat.sendDirect({ recipientId: "e-alice", content: text("hello") });
  aliceStream.send({
    case: "setTyping",
    value: { target: { case: "recipientId", value: "e-bob" }, typing: true },
  });
  await alice.conversations.markRead({ conversationId: "d:e-alice:e-bob", upToSeq: 2n });
  await stream.next("typing");
  await stream.next("receipt");
  await stream.next("presence");
  stream.cancel();
  const next = bob.stream();
  streams.push(next);
  await next.open(cursor === undefined ? {} : { resumeFrom: cursor });
  await next.next("caughtUp");
  // Watching ended with the stream.
  aliceStream.cancel();
  const { stream: fence } = await come("e-fence");
  const watcher = await watch("e-watcher", ["e-fence"]);
  fence.cancel();
  await hears(watcher, "e-fence", [true, false]);
  next.send({ case: "ping", value: {} });
  await next.next("pong");
  expect(next.events.map(({ event }) => event.case)).toEqual([
    "opened",
    "message",
    "message",
    "caughtUp",
    "pong",
  ]);
});

test("when a user was last active outlives a restart of the server", async () => {
  const own = await startTestServer();
  try {
    const alice = await own.login("alice");
    const stream = alice.stream();
    await stream.open();
    const before = Date.now();
    await own.restart();
    await stream.ended;
    const bob = await own.login("bob");
    const { presences } = await bob.presence.getPresence({ userIds: ["alice", "bob"] });
    expect(presences[0]).toMatchObject({ userId: "alice", online: false });
    const { lastActiveTime } = presences[0] ?? {};
    expect(lastActiveTime).toBeDefined();
    expect(timestampMs(lastActiveTime as NonNullable<typeof lastActiveTime>)).toBeGreaterThanOrEqual(before);
    expect(presences[1]?.lastActiveTime).toBeUndefined();
  } finally {
    await own.close();
  }
});
