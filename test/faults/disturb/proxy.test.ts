import { once } from "node:events";
import { createServer, connect as dial, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { randomFor } from "../../support/seed.ts";
import { type FaultProxy, type ProxyOptions, startProxy } from "./proxy.ts";

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

test("bytes arrive whole and in order, both ways, in whatever way they are slowed and split", async () => {
  const { proxy, client, server } = await connectThrough({ random: randomFor("jitter") });
  for (const direction of ["up", "down"] as const)
    proxy.set(direction, { latencyMs: 5, jitterMs: 20, chunkBytes: 1_000, bytesPerSecond: 2_000_000 });
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 31) % 251));
  for (let at = 0; at < bytes.length; at += 7_000) client.socket.write(bytes.subarray(at, at + 7_000));
  server.socket.write(bytes);
  await eventually(() => server.size() === bytes.length && client.size() === bytes.length);
  expect(server.received().equals(bytes)).toBe(true);
  expect(client.received().equals(bytes)).toBe(true);
  expect(proxy.bytes).toEqual({ up: bytes.length, down: bytes.length });
});

test("latency, and a bandwidth, take their time in the one direction", async () => {
  const { proxy, client, server } = await connectThrough();
  proxy.set("up", { latencyMs: 150 });
  const startMs = performance.now();
  client.socket.write("late");
  await eventually(() => server.size() === 4);
  expect(performance.now() - startMs).toBeGreaterThan(149);

  proxy.set("down", { bytesPerSecond: 100_000 });
  const slowMs = performance.now();
  server.socket.write(Buffer.alloc(30_000));
  await eventually(() => client.size() === 30_000);
  expect(performance.now() - slowMs).toBeGreaterThan(250);
});

test("chunks are no longer than asked for", async () => {
  const { proxy, client, server } = await connectThrough();
  proxy.set("up", { chunkBytes: 3, bytesPerSecond: 300 });
  const sizes: number[] = [];
  server.socket.on("data", (chunk) => sizes.push(chunk.length));
  client.socket.write("0123456789");
  await eventually(() => server.size() === 10);
  expect(sizes).toEqual([3, 3, 3, 1]);
});

test("a connection is cut after exactly so many bytes, on both sides", async () => {
  for (const cutAfterBytes of [0, 1, 9, 1_000, 99_999]) {
    const { proxy, client, server } = await connectThrough();
    proxy.set("down", { cutAfterBytes });
    server.socket.write(Buffer.alloc(100_000));
    await eventually(() => client.over() && server.over());
    expect(client.size()).toBe(cutAfterBytes);
    expect(proxy.bytes.down).toBe(cutAfterBytes);
    await eventually(() => proxy.connections === 0);
  }
});

test("a black hole swallows bytes and ends, and what has lost bytes stays lost", async () => {
  const { proxy, client, server } = await connectThrough();
  client.socket.write("seen");
  await eventually(() => server.size() === 4);
  proxy.set("up", { blackHole: true });
  client.socket.write("lost");
  server.socket.write("other way");
  await eventually(() => client.size() === 9);
  proxy.set("up", { blackHole: false });
  client.socket.end("lost too");
  // Both directions keep order, so that the answer shows what else arrived.
  server.socket.write("!");
  await eventually(() => client.size() === 10);
  await delay(50);
  expect(server.received().toString()).toBe("seen");
  expect(server.ended()).toBe(false);
  const fresh = await connectTo(proxy);
  fresh.socket.write("new");
  await eventually(() => proxy.bytes.up === 7);
});

test("a stall holds everything back, by back pressure in the end, and loses nothing", async () => {
  const { proxy, client, server } = await connectThrough();
  proxy.set("up", { stall: true });
  const bytes = Buffer.alloc(32_000_000, "x");
  client.socket.write(bytes);
  client.socket.end();
  let passed = -1;
  // Once nothing moves any more the sender still has most of it.
  await eventually(async () => {
    const before = client.socket.bytesWritten - client.socket.writableLength;
    await delay(100);
    passed = client.socket.bytesWritten - client.socket.writableLength;
    return passed === before;
  });
  expect(server.size()).toBe(0);
  expect(client.socket.writableLength).toBeGreaterThan(0);
  proxy.set("up", { stall: false });
  await eventually(() => server.ended());
  expect(server.size()).toBe(bytes.length);
});

test("a reader that does not read stops the sender", async () => {
  const { proxy, client, server } = await connectThrough();
  client.socket.pause();
  server.socket.write(Buffer.alloc(64_000_000));
  await eventually(async () => {
    const before = proxy.bytes.down;
    await delay(100);
    return before > 0 && proxy.bytes.down === before;
  });
  expect(proxy.bytes.down).toBeLessThan(64_000_000);
  expect(server.socket.writableLength).toBeGreaterThan(0);
  client.socket.resume();
  await eventually(() => client.size() === 64_000_000);
});

test("an idle connection is forgotten without a word, a busy one is not", async () => {
  const { proxy, client, server } = await connectThrough();
  const busy = await connectTo(proxy);
  proxy.idleBlackHoleMs = 300;
  for (let i = 0; i < 10; i++) {
    busy.socket.write(".");
    await delay(50);
  }
  client.socket.write("lost");
  server.socket.write("lost");
  busy.socket.write("!");
  await eventually(() => proxy.bytes.up === 11);
  await delay(50);
  expect([server.size(), client.size()]).toEqual([0, 0]);
  expect([server.ended(), client.ended()]).toEqual([false, false]);
  expect(proxy.connections).toBe(2);
});

test("all connections can be reset, cut, or ended in one direction", async () => {
  const reset = await connectThrough();
  reset.proxy.resetAll();
  await Promise.all([reset.client.closed, reset.server.closed]);
  expect([reset.client.error(), reset.server.error()]).toEqual(["ECONNRESET", "ECONNRESET"]);

  const cut = await connectThrough();
  cut.proxy.cutAll();
  await eventually(() => cut.client.ended() && cut.server.ended());
  expect([cut.client.error(), cut.server.error()]).toEqual([undefined, undefined]);

  const half = await connectThrough();
  half.proxy.halfClose("up");
  await eventually(() => half.server.ended());
  half.client.socket.write("swallowed");
  half.server.socket.write("still here");
  await eventually(() => half.client.size() === 10);
  expect(half.client.ended()).toBe(false);
  expect(half.server.size()).toBe(0);
});

test("ends and resets of either side pass through", async () => {
  const ended = await connectThrough();
  ended.client.socket.end("bye");
  await eventually(() => ended.server.ended());
  ended.server.socket.end("bye yourself");
  await Promise.all([ended.client.closed, ended.server.closed]);
  expect(ended.client.received().toString()).toBe("bye yourself");
  await eventually(() => ended.proxy.connections === 0);

  const reset = await connectThrough();
  reset.server.socket.resetAndDestroy();
  await reset.client.closed;
  expect(reset.client.error()).toBe("ECONNRESET");
});

test("new connections can be refused and sent elsewhere while old ones go on", async () => {
  const { proxy, client, server } = await connectThrough();
  await proxy.refuse(true);
  const refused = watch(dial(proxy.port, "127.0.0.1"));
  await refused.closed;
  expect(refused.error()).toBe("ECONNREFUSED");
  client.socket.write("still");
  await eventually(() => server.size() === 5);

  const other = await listen();
  proxy.setTarget(other.address);
  await proxy.refuse(false);
  const moved = await connectTo(proxy);
  const arrived = await other.next();
  moved.socket.write("hello");
  await eventually(() => arrived.size() === 5);
});

test("a server that is gone shows as a reset", async () => {
  const { proxy } = await connectThrough();
  const gone = await listen();
  await gone.close();
  proxy.setTarget(gone.address);
  const client = watch(dial(proxy.port, "127.0.0.1"));
  await client.closed;
  expect(client.error()).toBe("ECONNRESET");
});

/** A socket and what came of it. */
function watch(socket: Socket) {
  const chunks: Buffer[] = [];
  let size = 0;
  let ended = false;
  let error: string | undefined;
  socket.on("data", (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
  });
  socket.on("end", () => {
    ended = true;
  });
  socket.on("error", (reason: NodeJS.ErrnoException) => {
    error = reason.code;
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  closers.push(() => socket.destroy());
  return {
    socket,
    closed,
    size: () => size,
    received: () => Buffer.concat(chunks),
    ended: () => ended,
    over: () => ended || socket.closed,
    error: () => error,
  };
}

async function listen() {
  const arrived: ReturnType<typeof watch>[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    arrived.push(watch(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  closers.push(() => void server.close());
  return {
    address: `127.0.0.1:${port}`,
    close,
    async next() {
      await eventually(() => arrived.length > 0);
      return arrived.shift() as ReturnType<typeof watch>;
    },
  };
}

async function connectTo(proxy: FaultProxy) {
  const socket = dial({ port: proxy.port, host: "127.0.0.1", allowHalfOpen: true });
  const watched = watch(socket);
  await once(socket, "connect");
  return watched;
}

/** A proxy, and one connection through it with both its ends. */
async function connectThrough(options?: ProxyOptions) {
  const target = await listen();
  const proxy = await startProxy(target.address, options);
  closers.push(() => proxy.close());
  const client = await connectTo(proxy);
  return { proxy, client, server: await target.next() };
}
