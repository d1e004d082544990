import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../gen/grpc/health/v1/health_pb.js";
import { connect, logIn } from "./support/connect.ts";
import { failureOf } from "./support/errors.ts";
import { eventually } from "./support/eventually.ts";
import { makeDataDir, startServe } from "./support/serve-child.ts";
import { startTestServer, type TestServer, text } from "./support/server.ts";

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.close());

/** Holds the lock that the store needs for writing, longer than it waits for it. */
function lockStore(dataDir = server.dataDir): { release: () => void } {
  const other = new DatabaseSync(join(dataDir, "parlance.db"));
  other.exec("BEGIN IMMEDIATE");
  let held = true;
  const release = () => {
    if (held) other.close();
    held = false;
  };
  onTestFinished(release);
  return { release };
}

/** Collects what health says, change by change. */
function watchHealth(): ServingStatus[] {
  const statuses: ServingStatus[] = [];
  const { health, close } = connect(server.address);
  onTestFinished(close);
  void (async () => {
    for await (const { status } of health.watch({})) statuses.push(status);
  })().catch(() => {});
  return statuses;
}

test("health follows the store: NOT_SERVING while it cannot write, SERVING again when it can", async () => {
  const alice = await server.login("alice");
  const bob = await server.login("bob");
  await alice.chat.sendDirect({ recipientId: "bob", content: text("before") });
  const stream = bob.stream();
  await stream.open();
  await stream.until(() => stream.texts().length === 1);
  const statuses = watchHealth();
  await eventually(() => statuses.at(-1) === ServingStatus.SERVING);

  const lock = lockStore();
  let answered = false;
  const failure = failureOf((options) =>
    alice.chat.sendDirect({ recipientId: "bob", content: text("lost"), clientMessageId: "one" }, options),
  ).finally(() => {
    answered = true;
  });
  // The store waits for the lock, and nobody else for the store.
  let readMeanwhile = 0;
  while (!answered) {
    const { messages } = await bob.messages.listMessages({
      target: { case: "recipientId", value: "alice" },
    });
    expect(messages).toHaveLength(1);
    if (!answered) readMeanwhile++;
  }
  expect(readMeanwhile).toBeGreaterThan(0);
  expect(await failure).toMatchObject({
    code: "UNAVAILABLE",
    reasonName: "STORE_UNAVAILABLE",
    retryAfterMs: expect.any(Number),
  });
  await eventually(() => statuses.at(-1) === ServingStatus.NOT_SERVING);

  lock.release();
  await eventually(() => statuses.at(-1) === ServingStatus.SERVING);
  const send = { recipientId: "bob", content: text("after"), clientMessageId: "one" };
  expect((await alice.chat.sendDirect(send)).result).toMatchObject({ seq: 2n, duplicate: false });
  await stream.until(() => stream.texts().length === 2);
  stream.cancel();

  expect(statuses).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING, ServingStatus.SERVING]);
  const lines = server.logs.filter(({ msg }) => String(msg).startsWith("store "));
  expect(lines).toMatchObject([
    { msg: "store failing", level: "error", err: { message: expect.stringContaining("busy") } },
    { msg: "store works again", level: "warn", failingMs: expect.any(Number) },
  ]);
});

test("a server whose store cannot write stops all the same, and says what it could not keep", async () => {
  const data = makeDataDir();
  onTestFinished(data.remove);
  const child = await startServe(data.path);
  onTestFinished(() => child.kill());
  const [token] = await logIn(child.address, ["alice"]);
  const alice = connect(child.address, token);
  onTestFinished(alice.close);
  const stream = alice.stream();
  await stream.open();
  const lock = lockStore(data.path);
  child.signal("SIGTERM");
  expect(await child.exited).toBe(1);
  expect(child.stderr()).toContain('"msg":"stopping failed"');
  lock.release();
});

test("a server that stops says NOT_SERVING to the end, though its store works again", async () => {
  const bob = await server.login("bob");
  const statuses = watchHealth();
  await eventually(() => statuses.at(-1) === ServingStatus.SERVING);
  const lock = lockStore();
  await expect(bob.chat.sendDirect({ recipientId: "alice", content: text("lost") })).rejects.toThrow();
  await eventually(() => statuses.at(-1) === ServingStatus.NOT_SERVING);
  const closed = server.server.close();
  lock.release();
  await closed;
  expect(statuses).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
});
