/** B51: Calls that are answered before their request has ended: the connection gets its place for a stream back. */

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { buildGoClient, type GoClient, goIsThere } from "../support/grpc-go.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { FramePeer, FrameType, headerBlock } from "./raw-http2.ts";

const streamPath = "/parlance.chat.v1.ChatService/Stream";
const listPath = "/parlance.chat.v1.ConversationService/ListConversations";
const maxConcurrentStreams = 20;
const ports = ["gRPC", "HTTP"] as const;

let server: TestServer;
let authorization: [string, string];
let token: string;

beforeAll(async () => {
  server = await startTestServer({ maxConcurrentStreams });
  ({ token } = await server.login("alice"));
  authorization = ["authorization", `Bearer ${token}`];
});
afterAll(() => server.close());

function addressOf(port: (typeof ports)[number], of = server): string {
  return port === "gRPC" ? of.address : (of.server.httpAddress as string);
}

/** The frames of a stream that carry an answer or end it, by their type. */
function answerOf(peer: FramePeer, streamId: number): number[] {
  const types: number[] = [FrameType.HEADERS, FrameType.DATA, FrameType.RST_STREAM];
  return peer.received
    .filter((frame) => frame.streamId === streamId && types.includes(frame.type))
    .map(({ type }) => type);
}

/** What begins a request that says more is to come. */
const beginnings: [string, (peer: FramePeer, streamId: number) => void][] = [
  [
    "a stream without a token",
    (peer, id) => peer.send(FrameType.HEADERS, 4, id, headerBlock(streamPath, [])),
  ],
  [
    "an oversize message",
    (peer, id) => {
      peer.send(FrameType.HEADERS, 4, id, headerBlock(listPath, [authorization]));
      peer.send(FrameType.DATA, 0, id, Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]));
    },
  ],
  [
    "a call of a method there is not",
    (peer, id) => peer.send(FrameType.HEADERS, 4, id, headerBlock("/parlance.chat.v1.ChatService/No", [])),
  ],
];

describe.each(ports)("B51: on the %s port", (port) => {
  test.each(beginnings)(
    "%s is answered, reset with NO_ERROR, and leaves room for others",
    async (_, begin) => {
      const peer = await FramePeer.connect(addressOf(port));
      onTestFinished(() => peer.destroy());
      let id = 1;
      for (let round = 0; round < 3; round++) {
        const ids = Array.from({ length: maxConcurrentStreams }, (_, i) => id + 2 * i);
        for (const each of ids) begin(peer, each);
        await eventually(() => ids.every((each) => answerOf(peer, each).at(-1) === FrameType.RST_STREAM));
        for (const each of ids) expect(answerOf(peer, each)[0]).toBe(FrameType.HEADERS);
        id += 2 * maxConcurrentStreams;
      }
      for (const { payload } of peer.framesOf(FrameType.RST_STREAM)) expect(payload.readUInt32BE()).toBe(0);
      peer.call(id, listPath, [authorization]);
      await eventually(() => answerOf(peer, id).length === 3);
      expect(answerOf(peer, id)).toEqual([FrameType.HEADERS, FrameType.DATA, FrameType.HEADERS]);
    },
  );

  test("a connection whose calls were all answered early is closed as an idle one", async () => {
    const idle = await startTestServer({ maxConnectionIdleMs: 100 });
    onTestFinished(() => idle.close());
    const peer = await FramePeer.connect(addressOf(port, idle));
    onTestFinished(() => peer.destroy());
    peer.send(FrameType.HEADERS, 4, 1, headerBlock(streamPath, []));
    await eventually(() => peer.closed);
  });
});

describe.skipIf(!goIsThere())("grpc-go, which sends no more once it is answered,", () => {
  let client: GoClient;
  beforeAll(async () => {
    client = await buildGoClient();
  });
  afterAll(() => client?.remove());

  test.each(ports)("makes as many calls as ever after oversize ones, on the %s port", async (port) => {
    const calls = { large: 25, size: 200_000, small: 15 };
    const ends = await client.call({ address: addressOf(port), method: listPath, token, ...calls });
    expect(ends).toEqual([...Array(25).fill("ResourceExhausted"), ...Array(15).fill("OK")]);
  });

  test.each(ports)(
    "makes as many calls as ever after large ones without a token, on the %s port",
    async (port) => {
      const calls = { large: 25, size: 100_000, small: 15 };
      const ends = await client.call({ address: addressOf(port), method: listPath, ...calls });
      expect(ends).toEqual(Array(40).fill("Unauthenticated"));
    },
  );
});
