import { once } from "node:events";
import { constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";
import {
  callRaw,
  FramePeer,
  FrameType,
  frame,
  headerBlock,
  openConnection,
  type RawRequest,
} from "./raw-http2.ts";

const listPath = "/parlance.chat.v1.ConversationService/ListConversations";
const streamPath = "/parlance.chat.v1.ChatService/Stream";
const empty = frame(new Uint8Array());

let server: TestServer;
/** Talks on, whatever others do. */
let witness: UserClients;
let stream: TestStream;
let sent = 0;
let authorization: string;
let rssBefore: number;

beforeAll(async () => {
  server = await startTestServer();
  witness = await server.login("witness");
  const peer = await server.login("peer");
  authorization = `Bearer ${peer.token}`;
  stream = witness.stream();
  await stream.open();
  rssBefore = process.memoryUsage().rss;
});

afterEach(async () => {
  const { result } = await witness.chat.sendDirect({ recipientId: "anyone", content: text(`${++sent}`) });
  await stream.next("message", ({ messageId }) => messageId === result?.messageId);
  // Nothing of the raw peers stays behind: only the witness's stream is open.
  await eventually(() => server.server.stats().calls === 1);
});

afterAll(async () => {
  stream.cancel();
  await server.close();
});

function call({ headers, ...request }: RawRequest) {
  return callRaw(server.address, { headers: { ":path": listPath, authorization, ...headers }, ...request });
}

describe("headers", () => {
  test("the raw peer is answered when it does as it should", async () => {
    expect(await call({ body: empty })).toMatchObject({ http: 200, code: "OK", reset: 0 });
  });

  test("B1: 200 of them reset the stream", async () => {
    const headers = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x-${i}`, "v"]));
    expect(await call({ headers, body: empty })).toMatchObject({
      http: undefined,
      reset: constants.NGHTTP2_ENHANCE_YOUR_CALM,
    });
  });

  test("B2: one of 100 KB ends the connection", async () => {
    const outcome = await call({ headers: { "x-large": "v".repeat(100_000) }, body: empty });
    expect(outcome.http).toBeUndefined();
    expect(outcome.reset).not.toBe(0);
  });

  test("B2: without end, in one CONTINUATION after the other, end the connection", async () => {
    const peer = await FramePeer.connect(server.address);
    peer.send(FrameType.HEADERS, 0, 1, headerBlock(listPath, []));
    const block = headerBlock("/", [["x-more", "v".repeat(1_000)]]).subarray(-1_010);
    for (let i = 0; i < 10_000 && !peer.closed; i++) {
      peer.send(FrameType.CONTINUATION, 0, 1, block);
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => peer.closed);
    peer.destroy();
  });

  test.each(["text/plain", "application/json", ""])(
    "B16: a content-type of %j is answered 415",
    async (type) => {
      expect(await call({ headers: { "content-type": type }, body: empty })).toMatchObject({ http: 415 });
    },
  );

  test.each([
    "/parlance.chat.v1.ChatService/Nope",
    "/parlance.chat.v1.Nope/Login",
    "/",
    "//",
    `${listPath}/`,
    `${listPath}?token=x`,
    `/..${listPath}`,
    listPath.toLowerCase(),
  ])("B17: the path %s is no method", async (path) => {
    expect(await call({ headers: { ":path": path }, body: empty })).toMatchObject({ code: "UNIMPLEMENTED" });
  });

  test.each(["GET", "PUT", "HEAD", "OPTIONS"])("B15: the method %s is answered 405", async (method) => {
    for (const path of [listPath, streamPath, "/"])
      for (const open of [false, true])
        expect(await call({ headers: { ":method": method, ":path": path }, open })).toMatchObject({
          http: 405,
          code: undefined,
          reset: 0,
        });
  });

  test.each(["9x", "abc", "S"])("B13: a grpc-timeout of %j is refused", async (timeout) => {
    expect(await call({ headers: { "grpc-timeout": timeout }, body: empty })).toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "INVALID_METADATA",
    });
  });

  test.each(["99999999H", "99999999M", "2147483648m", "99999999S"])(
    "B14: a grpc-timeout of %s is no timeout that has passed",
    async (timeout) => {
      expect(await call({ headers: { "grpc-timeout": timeout }, body: empty })).toMatchObject({ code: "OK" });
    },
  );

  test("B18: metadata that should be base64 and is not harms nobody, since none is read", async () => {
    expect(await call({ headers: { "x-host-bin": "!not base64!" }, body: empty })).toMatchObject({
      code: "OK",
    });
  });
});

describe("authorization by hand", () => {
  /** What the server logged of a call made with these headers: who it took the caller for, or why not. */
  async function logged(headers: Array<[string, string]>) {
    const peer = await FramePeer.connect(server.address);
    const before = server.logs.length;
    const mine = () => server.logs.slice(before).find(({ method }) => method === listPath.slice(1));
    peer.call(1, listPath, headers);
    await eventually(
      () => mine() !== undefined || peer.closed || peer.framesOf(FrameType.RST_STREAM).length > 0,
    );
    const reset = peer.framesOf(FrameType.RST_STREAM).length > 0 || peer.closed;
    peer.destroy();
    return mine() ?? { reset };
  }

  test("a call with it once is taken for its user's", async () => {
    expect(await logged([["authorization", authorization]])).toMatchObject({ code: "OK", user: "peer" });
  });

  test("B40: two values are refused, whichever is good", async () => {
    const other = `Bearer ${witness.token}`;
    for (const pair of [
      [authorization, other],
      [authorization, authorization],
      ["Bearer nonsense", authorization],
      [authorization, "Bearer nonsense"],
      [`${authorization}, ${other}`],
    ]) {
      const headers = pair.map((value): [string, string] => ["authorization", value]);
      const refused = await logged(headers);
      expect(refused).toMatchObject({ code: "INVALID_ARGUMENT", reason: "INVALID_METADATA" });
      expect(refused).not.toHaveProperty("user", expect.anything());
    }
  });

  test("B40: two devices are refused", async () => {
    const device: [string, string] = ["parlance-device", "phone"];
    expect(await logged([["authorization", authorization], device, device])).toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "INVALID_METADATA",
    });
  });

  test("B40: a value with line ends or NUL lets nobody in, and smuggles nothing in", async () => {
    for (const value of [
      `${authorization}\r\nx-parlance-user: admin`,
      `${authorization}\0`,
      `\n${authorization}`,
    ]) {
      const outcome = await logged([["authorization", value]]);
      expect(outcome).not.toMatchObject({ code: "OK" });
      expect(outcome).not.toHaveProperty("user", expect.anything());
    }
  });
});

describe("bodies", () => {
  test("B4: a length prefix of 3.9 GB is refused at once", async () => {
    expect(
      await call({ body: frame(new Uint8Array(1), { length: 3_900_000_000 }), open: true }),
    ).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      message: expect.stringContaining("131072"),
    });
  });

  test("B3: a message of 1 MB is refused", async () => {
    expect(await call({ body: frame(new Uint8Array(1_000_000)) })).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
    });
  });

  test("B5: 10 MB that were compressed to 10 KB are refused", async () => {
    const body = frame(gzipSync(Buffer.alloc(10_000_000)), { compressed: true });
    expect(await call({ headers: { "grpc-encoding": "gzip" }, body })).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
    });
  });

  test("B6, B7: what is not compressed as it says is undecodable", async () => {
    const undecodable = { code: "INVALID_ARGUMENT", reason: "UNDECODABLE_REQUEST" };
    const garbage = frame(Buffer.from("not gzip"), { compressed: true });
    expect(await call({ headers: { "grpc-encoding": "gzip" }, body: garbage })).toMatchObject(undecodable);
    expect(await call({ body: frame(gzipSync("x"), { compressed: true }) })).toMatchObject(undecodable);
    expect(await call({ headers: { "grpc-encoding": "br" }, body: garbage })).toMatchObject({
      code: "UNIMPLEMENTED",
    });
  });

  // What gRPC asks for where the number of requests is not the method's.
  test.each<[string, Buffer]>([
    ["no message", Buffer.alloc(0)],
    ["half a prefix", empty.subarray(0, 3)],
    ["half a message", frame(Buffer.from("ab"), { length: 10 })],
    ["two messages", Buffer.concat([empty, empty])],
  ])("B12: %s where one is asked for is UNIMPLEMENTED", async (_, body) => {
    expect(await call({ body })).toMatchObject({ code: "UNIMPLEMENTED" });
  });

  test("a message in 5,000 frames of one byte is one message", async () => {
    const peer = await FramePeer.connect(server.address);
    const before = server.logs.length;
    peer.send(FrameType.HEADERS, 4, 1, headerBlock(listPath, [["authorization", authorization]]));
    // 2,500 unknown fields.
    const body = frame(Buffer.from("xx".repeat(2_500)));
    for (let i = 0; i < body.length; i++)
      peer.send(FrameType.DATA, i === body.length - 1 ? 1 : 0, 1, body.subarray(i, i + 1));
    const logged = () => server.logs.slice(before).find(({ method }) => method === listPath.slice(1));
    await eventually(() => logged() !== undefined);
    expect(logged()).toMatchObject({ code: "OK" });
    peer.destroy();
  });

  test("B14: a body that does not come ends with the server's own deadline", async () => {
    const hasty = await startTestServer({ maxUnaryDeadlineMs: 200 });
    const headers = { ":path": listPath, "grpc-timeout": "99999999H" };
    expect(await callRaw(hasty.address, { headers, body: empty.subarray(0, 4), open: true })).toMatchObject({
      code: "DEADLINE_EXCEEDED",
      reason: "DEADLINE_TOO_LONG",
    });
    await hasty.close();
  });
});

describe("streams", () => {
  test("B23: 1,000 on one connection become 100 that are open", async () => {
    const connection = openConnection(server.address);
    await once(connection, "remoteSettings");
    expect(connection.remoteSettings.maxConcurrentStreams).toBe(100);
    for (let i = 0; i < 1_000; i++)
      connection
        .request({
          ":method": "POST",
          ":path": streamPath,
          "content-type": "application/grpc",
          authorization,
        })
        .on("error", () => {});
    let most = 0;
    await eventually(() => {
      most = Math.max(most, server.server.stats().calls);
      return most >= 101;
    });
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      most = Math.max(most, server.server.stats().calls);
    }
    expect(most).toBe(101); // With the witness's.
    connection.destroy();
  });

  test("B23: more than 100 of a peer that does not keep to the limit are refused", async () => {
    const peer = await FramePeer.connect(server.address);
    for (let i = 0; i < 150; i++)
      peer.send(FrameType.HEADERS, 4, 2 * i + 1, headerBlock(streamPath, [["authorization", authorization]]));
    await eventually(() => peer.framesOf(FrameType.RST_STREAM).length >= 50 || peer.closed);
    expect(server.server.stats().calls).toBeLessThanOrEqual(101);
    peer.destroy();
  });

  test("B21: 5,000 that are opened and reset end the connection, and a new one works", async () => {
    const peer = await FramePeer.connect(server.address);
    const cancel = Buffer.from([0, 0, 0, constants.NGHTTP2_CANCEL]);
    const block = headerBlock(streamPath, [["authorization", authorization]]);
    for (let i = 0; i < 5_000 && !peer.closed; i++) {
      peer.send(FrameType.HEADERS, 4, 2 * i + 1, block);
      peer.send(FrameType.RST_STREAM, 0, 2 * i + 1, cancel);
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => peer.closed);
    peer.destroy();
    expect(await call({ body: empty })).toMatchObject({ code: "OK" });
  });

  test("a stream's headers come at once, before there is anything to say", async () => {
    const connection = openConnection(server.address);
    const silent = connection.request({
      ":method": "POST",
      ":path": streamPath,
      "content-type": "application/grpc",
      te: "trailers",
      authorization,
    });
    try {
      await once(silent, "response", { signal: AbortSignal.timeout(2_000) });
    } finally {
      connection.destroy();
    }
  });
});

describe("connections", () => {
  test.each<[string, [type: number, flags: number, streamId: number, payload: Buffer]]>([
    ["a window larger than 2 GB", [FrameType.WINDOW_UPDATE, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])]],
    ["DATA of no stream", [FrameType.DATA, 0, 0, Buffer.alloc(5)]],
    ["DATA of a stream that was not opened", [FrameType.DATA, 0, 1, Buffer.alloc(5)]],
    ["HEADERS that are no HPACK", [FrameType.HEADERS, 4, 1, Buffer.alloc(64, 0xff)]],
    ["a CONTINUATION of nothing", [FrameType.CONTINUATION, 4, 1, Buffer.alloc(1)]],
    ["a stream with an even number", [FrameType.HEADERS, 4, 2, headerBlock(listPath, [])]],
    ["a PING of 7 bytes", [FrameType.PING, 0, 0, Buffer.alloc(7)]],
    ["a frame of 16 MB", [FrameType.DATA, 0, 1, Buffer.alloc(100_000)]],
  ])("%s ends the connection", async (_, [type, flags, streamId, payload]) => {
    const peer = await FramePeer.connect(server.address);
    peer.send(type, flags, streamId, payload);
    await eventually(() => peer.closed || peer.framesOf(FrameType.GOAWAY).length > 0);
    peer.destroy();
  });

  test.each(["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "\x16\x03\x01 hello", "nonsense\n".repeat(10)])(
    "B24: one that does not speak HTTP/2 is closed",
    async (hello) => {
      const { hostname, port } = new URL(`http://${server.address}`);
      const socket = connectTcp(Number(port), hostname);
      socket.on("error", () => {});
      let received = "";
      socket.on("data", (bytes) => {
        received += bytes.toString("latin1");
      });
      socket.write(hello);
      await once(socket, "close");
      expect(received).not.toContain("200");
    },
  );
});

test("after all that the process has grown by little, and the witness missed nothing", () => {
  expect(process.memoryUsage().rss - rssBefore).toBeLessThan(300_000_000);
  expect(stream.texts()).toEqual(Array.from({ length: sent }, (_, i) => `${i + 1}`));
  expect(stream.all("closed")).toEqual([]);
});
