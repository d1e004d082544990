import { afterEach, expect, test } from "vitest";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.js";
import { CloseReason, EventKind } from "../../gen/parlance/chat/v1/event_pb.js";
import type { SendResult } from "../../gen/parlance/chat/v1/message_pb.js";
import { type Connection, connect, listAll, logIn, sendAll } from "../support/connect.ts";
import { eventually } from "../support/eventually.ts";
import { openRawStream } from "../support/raw-peer.ts";
import { makeDataDir, type ServeChild, startServe } from "../support/serve-child.ts";
import { text } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

/** Starts a server that is ended with the test, whatever happens. */
async function serve(args: string[] = [], data = makeDataDir()): Promise<ServeChild> {
  const child = await startServe(data.path, args);
  cleanups.push(data.remove, () => child.kill());
  return child;
}

function open(server: ServeChild, token?: string): Connection {
  const connection = connect(server.address, token);
  cleanups.push(connection.close);
  return connection;
}

/** Watches health and notes what it hears. */
function watchHealth(connection: Connection) {
  const heard: ServingStatus[] = [];
  const abort = new AbortController();
  const ended = (async () => {
    for await (const { status } of connection.health.watch({}, { signal: abort.signal })) heard.push(status);
  })().catch(() => {});
  cleanups.push(async () => {
    abort.abort();
    await ended;
  });
  return heard;
}

const grace = ["--drain-grace-ms", "5000"];

/** Opens a stream that never reads, and fills every buffer on the way to it, so that it holds a drain up. */
async function openStuck(server: ServeChild): Promise<void> {
  const tokens = await logIn(server.address, ["stuck", "filler"]);
  const stuck = await openRawStream(server.address, tokens[0] as string, { replayLimit: 0 });
  cleanups.push(stuck.close);
  const filler = open(server, tokens[1]).stream();
  await filler.open();
  const value = { recipientId: "stuck", content: text("x".repeat(16_000)) };
  await sendAll(
    filler,
    Array.from({ length: 300 }, () => ({ case: "sendDirect" as const, value })),
  );
  filler.halfClose();
  expect(await filler.ended).toBeUndefined();
}

test("a server that is told to stop asks 100 streams to reconnect, ends each with OK, and exits with 0", async () => {
  const server = await serve(grace);
  const userIds = Array.from({ length: 100 }, (_, n) => `user-${n}`);
  const tokens = await logIn(server.address, userIds);
  const streams: TestStream[] = tokens.map((token) => open(server, token).stream());
  await Promise.all(streams.map((stream) => stream.open()));
  const health = watchHealth(open(server));
  await eventually(() => health.length === 1);
  const ends: string[] = [];
  void server.exited.then(() => ends.push("exit"));
  for (const stream of streams) void stream.ended.then(() => ends.push("stream"));

  server.signal("SIGTERM");
  expect(await Promise.all(streams.map((stream) => stream.ended))).toEqual(streams.map(() => undefined));
  for (const { events } of streams) {
    const last = events.slice(-2).map(({ event }) => event);
    expect(last.map((event) => event.case)).toEqual(["drain", "closed"]);
    // Of five seconds, what was left at its turn.
    expect(last[0]?.value).toMatchObject({
      grace: { seconds: expect.toSatisfy((seconds: bigint) => seconds >= 2n && seconds <= 5n) },
    });
    expect(last[1]?.value).toMatchObject({ reason: CloseReason.DRAINED, retryAfter: {} });
  }
  // They do not all come back at the same moment.
  const waits = streams.map((stream) => stream.all("drain")[0]?.reconnectAfter);
  expect(new Set(waits.map((wait) => `${wait?.seconds}.${wait?.nanos}`)).size).toBeGreaterThan(10);
  expect(health).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
  expect(await server.exited).toBe(0);
  expect(ends.indexOf("exit")).toBe(100);
});

test("a server that stops says so to health checks and sends new streams elsewhere, but answers calls", async () => {
  const server = await serve(grace);
  await openStuck(server);
  const [token] = await logIn(server.address, ["alice"]);
  const alice = open(server, token);
  const health = watchHealth(alice);
  await eventually(() => health.length === 1);
  server.signal("SIGTERM");
  await eventually(() => health.at(-1) === ServingStatus.NOT_SERVING);
  const { result } = await alice.chat.sendDirect({ recipientId: "bob", content: text("still") });
  expect(result?.seq).toBe(1n);
  const stream = alice.stream();
  await stream.open().catch(() => {});
  expect(await stream.ended).toMatchObject({ code: 14 });
  expect(await server.exited).toBe(0);
});

test("sends under way when a server stops are answered, and what was answered is there after the restart", async () => {
  const data = makeDataDir();
  const server = await serve(grace, data);
  const senders = Array.from({ length: 8 }, (_, n) => `sender-${n}`);
  const tokens = await logIn(server.address, [...senders, "reader"]);
  const reader = open(server, tokens.at(-1));
  const live = reader.stream();
  await live.open();
  const answered: SendResult[] = [];
  const asked: number[] = [];
  const streams = await Promise.all(
    senders.map(async (_, n) => {
      const stream = open(server, tokens[n]).stream();
      await stream.open({ eventKinds: [EventKind.TYPING] });
      return stream;
    }),
  );
  let stopping = false;
  const storms = streams.map(async (stream, n) => {
    asked[n] = 0;
    while (!stopping) {
      for (let i = 0; i < 20; i++) {
        asked[n] = (asked[n] ?? 0) + 1;
        stream.send(
          { case: "sendDirect", value: { recipientId: "reader", content: text("hello") } },
          `${asked[n]}`,
        );
      }
      // Some 20 to 40 are under way at any moment.
      await eventually(() => stopping || stream.events.length > (asked[n] ?? 0) - 20);
    }
    expect(await stream.ended).toBeUndefined();
    answered.push(...stream.all("sent"));
    // What the server took in it answered, in one run of requests; the rest it never began.
    const ids = stream.events.flatMap(({ event, requestId }) =>
      event.case === "sent" ? [Number(requestId)] : [],
    );
    expect(ids).toEqual(ids.map((_, i) => i + 1));
    expect(stream.all("refusal")).toEqual([]);
  });
  await eventually(() => live.all("message").length > 200);
  server.signal("SIGTERM");
  await live.next("drain");
  stopping = true;
  await Promise.all(storms);
  expect(await server.exited).toBe(0);

  const next = await serve(grace, data);
  const history = open(next, tokens.at(-1));
  const listed = await Promise.all(senders.map((value) => listAll(history, { case: "recipientId", value })));
  // Nothing answered is lost, and nothing was stored that was not answered.
  expect(new Set(listed.flat().map(({ messageId }) => messageId))).toEqual(
    new Set(answered.map(({ messageId }) => messageId)),
  );
  // The reader goes on where its stream ended.
  const resumeFrom = live.events.findLast(({ cursor }) => cursor !== undefined)?.cursor;
  const again = history.stream();
  await again.open({ replayLimit: 10_000, ...(resumeFrom && { resumeFrom }) });
  await again.next("caughtUp");
  const got = [...live.all("message"), ...again.all("message")].map(({ messageId }) => messageId);
  expect(got).toHaveLength(answered.length);
  expect(new Set(got).size).toBe(answered.length);
});

test("a peer that does not read holds a stopping server up for no longer than the grace time", async () => {
  const server = await serve(["--drain-grace-ms", "2000"]);
  await openStuck(server);
  const [token] = await logIn(server.address, ["bob"]);
  const bob = open(server, token).stream();
  await bob.open();
  server.signal("SIGTERM");
  expect(await bob.ended).toBeUndefined();
  // The peer never reads, so this would not come about without the grace time.
  expect(await server.exited).toBe(0);
});

test("a server does not wait for those who watch its health", async () => {
  // Without pings, which would break a connection that is about to close.
  const server = await serve([
    "--drain-grace-ms",
    "60000",
    "--keepalive-time-ms",
    "600000",
    "--keepalive-idle-time-ms",
    "600000",
  ]);
  const health = watchHealth(open(server));
  await eventually(() => health.length === 1);
  server.signal("SIGTERM");
  expect(await server.exited).toBe(0);
  expect(health).toEqual([ServingStatus.SERVING, ServingStatus.NOT_SERVING]);
});

test("a second signal exits at once", async () => {
  const server = await serve(["--drain-grace-ms", "60000"]);
  await openStuck(server);
  const health = watchHealth(open(server));
  await eventually(() => health.length === 1);
  server.signal("SIGTERM");
  await eventually(() => health.at(-1) === ServingStatus.NOT_SERVING);
  server.signal("SIGINT");
  expect(await server.exited).toBe(1);
});
