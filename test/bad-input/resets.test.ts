/** Streams that are opened and reset, and other frames that make work for nothing, on both ports. */

import { constants } from "node:http2";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, type UserClients } from "../support/server.ts";
import { FramePeer, FrameType, frameBytes, headerBlock } from "./raw-http2.ts";

const streamPath = "/parlance.chat.v1.ChatService/Stream";
const listPath = "/parlance.chat.v1.ConversationService/ListConversations";
const cancel = uint32(constants.NGHTTP2_CANCEL);

let server: TestServer;
let witness: UserClients;
let authorization: [string, string];

beforeAll(async () => {
  server = await startTestServer();
  witness = await server.login("witness");
  authorization = ["authorization", `Bearer ${witness.token}`];
});
afterEach(async () => {
  await witness.conversations.listConversations({});
  await eventually(() => server.server.stats().calls === 0);
});
afterAll(() => server.close());

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

describe.each(["gRPC", "HTTP"])("on the %s port", (port) => {
  async function connect(): Promise<FramePeer> {
    const { address, httpAddress = "" } = server.server;
    const peer = await FramePeer.connect(port === "gRPC" ? address : httpAddress);
    onTestFinished(() => peer.destroy());
    return peer;
  }

  /** The code of HTTP/2 that the connection was ended with. */
  function farewellOf(peer: FramePeer): number | undefined {
    return peer.framesOf(FrameType.GOAWAY)[0]?.payload.readUInt32BE(4);
  }

  test.each([
    ["without a token", []],
    ["with a token", ["token"]],
  ])("B21: calls %s that are opened and reset at once end the connection", async (_, tokens) => {
    const peer = await connect();
    const block = headerBlock(listPath, tokens.length > 0 ? [authorization] : []);
    for (let id = 1; id < 20_000 && !peer.closed; id += 2) {
      peer.send(FrameType.HEADERS, 4, id, block);
      peer.send(FrameType.RST_STREAM, 0, id, cancel);
      if (id % 101 === 0) await new Promise(setImmediate);
    }
    await eventually(() => peer.closed);
    // Once it is closed, what still comes may cost the peer the farewell.
    expect([constants.NGHTTP2_ENHANCE_YOUR_CALM, undefined]).toContain(farewellOf(peer));
  });

  test("B31: streams that the server has to reset, by windows that grow too large, end the connection", async () => {
    const peer = await connect();
    const block = headerBlock(streamPath, [authorization]);
    for (let id = 1; id < 20_000 && !peer.closed; id += 2) {
      peer.send(FrameType.HEADERS, 4, id, block);
      peer.send(FrameType.WINDOW_UPDATE, 0, id, uint32(0x7fff_ffff));
      if (id % 101 === 0) await new Promise(setImmediate);
    }
    await eventually(() => peer.closed);
  });

  test("B2: headers without end, in one CONTINUATION after the other, end the connection", async () => {
    const peer = await connect();
    peer.send(FrameType.HEADERS, 0, 1, headerBlock(listPath, []));
    const block = headerBlock("/", [["x-more", "v".repeat(1_000)]]).subarray(-1_010);
    for (let i = 0; i < 10_000 && !peer.closed; i++) {
      peer.send(FrameType.CONTINUATION, 0, 1, block);
      if (i % 50 === 0) await new Promise(setImmediate);
    }
    await eventually(() => peer.closed);
  });

  test("a client that cancels as many calls as it has answered is kept", async () => {
    const peer = await connect();
    const call = frameBytes(FrameType.HEADERS, 4, 0, headerBlock(listPath, [authorization]));
    const answers = () => peer.framesOf(FrameType.HEADERS).length / 2;
    for (let round = 0; round < 30; round++) {
      const first = 1 + round * 100;
      for (let id = first; id < first + 100; id += 2) {
        call.writeUInt32BE(id, 5);
        peer.write(call);
        if (id % 4 === 1) peer.send(FrameType.DATA, 1, id, Buffer.alloc(5));
        else peer.send(FrameType.RST_STREAM, 0, id, cancel);
      }
      await eventually(() => peer.closed || answers() === 25 * (round + 1));
    }
    expect(peer.closed).toBe(false);
  });
});
