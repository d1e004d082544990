/** Connections that are many, silent or noisy: what becomes of them, and what they cost others. */

import { connect as connectTcp } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Connection, connect, logIn } from "../support/connect.ts";
import { eventually } from "../support/eventually.ts";
import { makeDataDir, type ServeChild, startServe } from "../support/serve-child.ts";
import { text } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";
import { FramePeer, FrameType, headerBlock } from "./raw-http2.ts";

const streamPath = "/parlance.chat.v1.ChatService/Stream";
const listPath = "/parlance.chat.v1.ConversationService/ListConversations";

/** A server as a process of its own, and a user whose stream was there before all others. */
interface Scene {
  serve: ServeChild;
  witness: Connection;
  stream: TestStream;
  authorization: [string, string];
  close: () => Promise<void>;
}

async function setUp(args: string[], wrapper: string[] = []): Promise<Scene> {
  const dataDir = makeDataDir();
  const serve = await startServe(dataDir.path, args, { wrapper });
  const [token = ""] = await logIn(serve.address, ["witness"]);
  const witness = connect(serve.address, token);
  const stream = witness.stream();
  await stream.open();
  return {
    serve,
    witness,
    stream,
    authorization: ["authorization", `Bearer ${token}`],
    async close() {
      stream.cancel();
      witness.close();
      await serve.kill();
      dataDir.remove();
    },
  };
}

/** Sends something and waits until the stream has it. */
async function isServed({ witness, stream }: Scene): Promise<void> {
  const { result } = await witness.chat.sendDirect({ recipientId: "anyone", content: text("still here") });
  await stream.next("message", ({ messageId }) => messageId === result?.messageId);
}

/** Opens a TCP connection that says nothing. */
function dial(address: string) {
  const { hostname, port } = new URL(`http://${address}`);
  const peer = { socket: connectTcp(Number(port), hostname), received: 0, closed: false };
  peer.socket.on("error", () => {});
  peer.socket.on("data", (bytes) => {
    peer.received += bytes.length;
  });
  peer.socket.on("close", () => {
    peer.closed = true;
  });
  onTestFinished(() => void peer.socket.destroy());
  return peer;
}

async function framePeer(address: string): Promise<FramePeer> {
  const peer = await FramePeer.connect(address);
  onTestFinished(() => peer.destroy());
  return peer;
}

/** Does something over and over until the connection is closed, or it was enough, and lets the server answer meanwhile. */
async function flood(peer: FramePeer, times: number, send: (i: number) => void): Promise<void> {
  for (let i = 0; i < times && !peer.closed; i++) {
    send(i);
    if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

describe("a flood", () => {
  let scene: Scene;
  let residentBefore: number;
  beforeAll(async () => {
    scene = await setUp([]);
    await isServed(scene);
    residentBefore = scene.serve.residentBytes();
  });
  afterEach(() => isServed(scene));
  afterAll(() => scene.close());

  test.each([
    ["B19", "PING", Buffer.alloc(8)],
    ["CVE-2019-9515", "SETTINGS", Buffer.alloc(0)],
  ] as const)("%s: of 2,000 %s ends the connection", async (_, kind, payload) => {
    const peer = await framePeer(scene.serve.address);
    for (let i = 0; i < 2_000; i++) peer.send(FrameType[kind], 0, 0, payload);
    await eventually(() => peer.closed);
    expect(peer.framesOf(FrameType[kind]).length).toBeLessThan(2_000);
  });

  // The peer resets no stream itself, so what counts resets from clients does not see it.
  test.each<[string, (peer: FramePeer, streamId: number, headers: Buffer) => void]>([
    [
      "windows that grow too large",
      (peer, id, headers) => {
        peer.send(FrameType.HEADERS, 4, id, headers);
        peer.send(FrameType.WINDOW_UPDATE, 0, id, uint32(0x7fff_ffff));
      },
    ],
    [
      "windows that grow by nothing",
      (peer, id, headers) => {
        peer.send(FrameType.HEADERS, 4, id, headers);
        peer.send(FrameType.WINDOW_UPDATE, 0, id, uint32(0));
      },
    ],
    [
      "DATA after the end",
      (peer, id, headers) => {
        peer.send(FrameType.HEADERS, 5, id, headers);
        peer.send(FrameType.DATA, 0, id, Buffer.alloc(5));
      },
    ],
    [
      "HEADERS after the end",
      (peer, id, headers) => {
        peer.send(FrameType.HEADERS, 5, id, headers);
        peer.send(FrameType.HEADERS, 4, id, headers);
      },
    ],
    [
      "bodies of another length than they say",
      (peer, id) => {
        const lying = headerBlock(streamPath, [scene.authorization, ["content-length", "3"]]);
        peer.send(FrameType.HEADERS, 4, id, lying);
        peer.send(FrameType.DATA, 1, id, Buffer.alloc(5));
      },
    ],
  ])("B31: of streams that the server has to reset, by %s, ends the connection", async (_, provoke) => {
    const peer = await framePeer(scene.serve.address);
    const headers = headerBlock(streamPath, [scene.authorization]);
    await flood(peer, 20_000, (i) => provoke(peer, 2 * i + 1, headers));
    await eventually(() => peer.closed);
  });

  test("CVE-2026-84304: of 60,000 DATA frames of one byte is one message, too large or not", async () => {
    const peer = await framePeer(scene.serve.address);
    peer.send(FrameType.HEADERS, 4, 1, headerBlock(listPath, [scene.authorization]));
    // 30,000 unknown fields.
    const message = Buffer.from("xx".repeat(30_000));
    const body = Buffer.concat([Buffer.from([0]), uint32(message.length), message]);
    await flood(peer, body.length, (i) =>
      peer.send(FrameType.DATA, i === body.length - 1 ? 1 : 0, 1, body.subarray(i, i + 1)),
    );
    // The response's headers, its message and its trailers.
    await eventually(() => peer.closed || peer.framesOf(FrameType.HEADERS).length === 2);
    expect(peer.framesOf(FrameType.RST_STREAM)).toEqual([]);
    expect(peer.framesOf(FrameType.DATA)).toHaveLength(1);
  });

  test.each<[string, (peer: FramePeer) => void]>([
    ["CVE-2019-9518: of empty DATA", (peer) => peer.send(FrameType.DATA, 0, 1, Buffer.alloc(0))],
    ["CVE-2019-9513: of PRIORITY", (peer) => peer.send(FrameType.PRIORITY, 0, 1, Buffer.alloc(5, 1))],
    ["of WINDOW_UPDATE by 1", (peer) => peer.send(FrameType.WINDOW_UPDATE, 0, 0, uint32(1))],
    ["of frames of no known type", (peer) => peer.send(0xfa, 0, 1, Buffer.alloc(8))],
  ])("%s is borne or ends the connection", async (_, send) => {
    const peer = await framePeer(scene.serve.address);
    peer.send(FrameType.HEADERS, 4, 1, headerBlock(streamPath, [scene.authorization]));
    await flood(peer, 50_000, () => send(peer));
    // What comes after it is answered, if anything is.
    peer.send(FrameType.PING, 0, 0, Buffer.alloc(8));
    await eventually(() => peer.closed || peer.framesOf(FrameType.PING).length > 0);
  });

  test("leaves the server no larger than it was, and with nothing to say", () => {
    expect(scene.serve.residentBytes() - residentBefore).toBeLessThan(100_000_000);
    expect(scene.serve.problems()).toEqual([]);
  });
});

describe("B25, R2: a connection", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await setUp(["--keepalive-time-ms", "400", "--keepalive-timeout-ms", "400"]);
  });
  afterAll(() => scene.close());

  test("that says nothing is closed in keepalive time, and 200 of them hinder nobody", async () => {
    const silent = Array.from({ length: 200 }, () => dial(scene.serve.address));
    await isServed(scene);
    await eventually(() => silent.every(({ closed }) => closed));
    await isServed(scene);
  });

  test("that says hello and then nothing is closed in keepalive time, and 200 of them hinder nobody", async () => {
    const greeting = await Promise.all(Array.from({ length: 200 }, () => framePeer(scene.serve.address)));
    await isServed(scene);
    await eventually(() => greeting.every(({ closed }) => closed));
    await isServed(scene);
  });
});

describe("R1: a server that may open 64 files", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await setUp([], ["prlimit", "--nofile=64:64"]);
  });
  afterAll(() => scene.close());

  test("refuses connections it has no file for, serves those it has, and recovers", async () => {
    for (let round = 0; round < 3; round++) {
      const sockets: ReturnType<typeof dial>[] = [];
      // The server's SETTINGS come first.
      const served = () => sockets.filter(({ received, closed }) => received > 0 && !closed).length;
      const refused = () => sockets.filter(({ closed }) => closed).length;
      for (let i = 0; i < 100; i++) sockets.push(dial(scene.serve.address));
      await eventually(() => served() + refused() === 100);
      expect(served()).toBeGreaterThan(5);
      expect(refused()).toBeGreaterThan(30);
      await isServed(scene);
      for (const { socket } of sockets) socket.destroy();
      const [token = ""] = await eventuallyLoggedIn(scene.serve.address);
      const late = connect(scene.serve.address, token);
      await late.conversations.listConversations({});
      late.close();
    }
    await isServed(scene);
  });
});

/** Logs in as soon as there is room. */
async function eventuallyLoggedIn(address: string): Promise<string[]> {
  let tokens: string[] = [];
  await eventually(async () => {
    tokens = await logIn(address, ["latecomer"]).catch(() => []);
    return tokens.length > 0;
  });
  return tokens;
}
