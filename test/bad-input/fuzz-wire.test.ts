/**
 * Changes what valid calls look like on the wire, at the level of HTTP/2
 * frames and of gRPC's length prefix (fuzz.test.ts does so at that of
 * Protobuf), against a server's process with a watchdog on its memory, its
 * event loop and its life.
 */

import { fileURLToPath } from "node:url";
import { deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { StreamRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { type Connection, connect, logIn } from "../support/connect.ts";
import { seed } from "../support/seed.ts";
import { makeDataDir, type ServeChild, startServe } from "../support/serve-child.ts";
import { text } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";
import { anyCall, bytesOf, groupIds, mutated, noise, serverFaults } from "./arbitraries.ts";
import { callRaw, FramePeer, FrameType, frame, frameBytes, headerBlock } from "./raw-http2.ts";

const streamPath = "/parlance.chat.v1.ChatService/Stream";
const watchdog = fileURLToPath(new URL("watchdog.ts", import.meta.url));

let dataDir: ReturnType<typeof makeDataDir>;
let serve: ServeChild;
let witness: Connection;
let stream: TestStream;
let authorization: string;
let ended: unknown;

beforeAll(async () => {
  dataDir = makeDataDir();
  serve = await startServe(dataDir.path, [], { nodeArgs: ["--import", watchdog] });
  void serve.exited.then((how) => {
    ended = how;
  });
  const [mine = "", theirs = ""] = await logIn(serve.address, ["witness", "alice"]);
  authorization = `Bearer ${theirs}`;
  witness = connect(serve.address, mine);
  for (const groupId of groupIds) await witness.groups.createGroup({ groupId, memberIds: ["alice", "bob"] });
  stream = witness.stream();
  await stream.open();
});
afterAll(async () => {
  stream.cancel();
  witness.close();
  await serve.kill();
  dataDir.remove();
});

/** Whether the server lives, has nothing to complain of, and serves others. */
async function isWell(): Promise<void> {
  expect({ ended, problems: serve.problems() }).toEqual({ ended: undefined, problems: [] });
  const { result } = await witness.chat.sendDirect({ recipientId: "anyone", content: text("still here") });
  await stream.next("message", ({ messageId }) => messageId === result?.messageId);
}

/** A frame to be, with a length that may be a lie. */
interface Frame {
  type: number;
  flags: number;
  streamId: number;
  payload: Uint8Array;
  length?: number | undefined;
}

/** Makes frames, of a stream of their own if they are of one. */
type Part = (streamId: number) => Frame[];

/** What a call looks like. */
const call: fc.Arbitrary<Part> = fc
  .record({
    bidi: fc.boolean(),
    unary: anyCall,
    requests: fc.array(bytesOf(StreamRequestSchema), { maxLength: 4 }),
  })
  .map(({ bidi, unary, requests }) => (streamId) => {
    const headers = headerBlock(bidi ? streamPath : unary.path, [["authorization", authorization]]);
    const messages = bidi ? requests : [unary.request];
    return [
      { type: FrameType.HEADERS, flags: 4, streamId, payload: headers },
      ...messages.map((message, i) => ({
        type: FrameType.DATA,
        flags: i === messages.length - 1 && !bidi ? 1 : 0,
        streamId,
        payload: frame(message),
      })),
    ];
  });

/** What a connection has besides calls. */
const control: fc.Arbitrary<Part> = fc
  .record({
    type: fc.oneof(fc.constantFrom(...Object.values(FrameType)), fc.nat(255)),
    flags: fc.constantFrom(0, 1, 4, 5, 8, 32, 255),
    streamId: fc.oneof(fc.constantFrom(0, 1, 3, 5, 7), fc.nat(0x7fff_ffff)),
    payload: fc.oneof(
      ...[0, 4, 5, 6, 8].map((length) => fc.uint8Array({ minLength: length, maxLength: length })),
      noise,
    ),
  })
  .map((one) => () => [one]);

/** Frames of valid calls and others, some of them changed, cut or told wrongly. */
const conversation: fc.Arbitrary<Buffer> = fc
  .array(fc.oneof({ weight: 6, arbitrary: call }, control), { minLength: 1, maxLength: 12, size: "max" })
  .map((parts) => parts.flatMap((part, i) => part(2 * i + 1)))
  .chain((frames) => fc.tuple(...frames.map(changed)))
  .chain((frames) => {
    const bytes = Buffer.concat(
      frames.map(({ type, flags, streamId, payload, length }) =>
        frameBytes(type, flags, streamId, payload, length),
      ),
    );
    return fc.oneof(
      { weight: 6, arbitrary: fc.constant(bytes) },
      mutated(fc.constant(new Uint8Array(bytes))).map((changedBytes) => Buffer.from(changedBytes)),
    );
  });

function changed(original: Frame): fc.Arbitrary<Frame> {
  return fc.oneof(
    { weight: 40, arbitrary: fc.constant(original) },
    fc.nat(255).map((type) => ({ ...original, type })),
    fc.nat(255).map((flags) => ({ ...original, flags })),
    fc.nat(0x7fff_ffff).map((streamId) => ({ ...original, streamId })),
    fc.nat(0xff_ffff).map((length) => ({ ...original, length })),
    mutated(fc.constant(new Uint8Array(original.payload))).map((payload) => ({ ...original, payload })),
  );
}

/** Sends bytes after a connection's beginning and waits until the server has had enough of it. */
async function converse(bytes: Buffer): Promise<void> {
  const peer = await FramePeer.connect(serve.address);
  peer.write(bytes);
  // So that the server answers before it sees the end.
  await new Promise((resolve) => setTimeout(resolve, 5));
  peer.end();
  for (let i = 0; i < 20 && !peer.closed; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  peer.destroy();
}

test("no frames, however strange, harm the server or others", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(conversation, { minLength: 1, maxLength: 6, size: "max" }),
      async (connections) => {
        await Promise.all(connections.map(converse));
        await isWell();
      },
    ),
    { seed: seed(), numRuns: 150, endOnFailure: true },
  );
});

/** Mostly what a client would send, and sometimes not. */
function rarely<T>(usual: T, ...others: fc.Arbitrary<T>[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 8, arbitrary: fc.constant(usual) }, ...others);
}

const packers: Record<string, (bytes: Uint8Array) => Uint8Array> = {
  identity: (bytes) => bytes,
  gzip: (bytes) => gzipSync(bytes),
  deflate: (bytes) => deflateSync(bytes),
};

interface Packing {
  encoding: string;
  /** What the header says of the encoding, where it is not that. */
  told: string | undefined;
  flag: number | undefined;
  lie: number;
  cut: number;
  count: number;
}

/** How a request becomes a body: the prefix may lie, the message be packed, or both be cut or doubled. */
const packing: fc.Arbitrary<Packing> = fc.record({
  encoding: fc.oneof({ weight: 3, arbitrary: fc.constant("identity") }, fc.constantFrom("gzip", "deflate")),
  told: rarely<string | undefined>(undefined, fc.constantFrom("identity", "gzip", "br", "", "gzip, gzip")),
  flag: rarely<number | undefined>(undefined, fc.nat(255), fc.nat(1)),
  lie: rarely(0, fc.integer({ min: -3, max: 3 }), fc.constantFrom(131_073, 0xffff_0000)),
  cut: rarely(0, fc.nat(20)),
  count: rarely(1, fc.constantFrom(0, 2)),
});

function bodyOf(request: Uint8Array, { encoding, flag, lie, cut, count }: Packing): Buffer {
  const packed = packers[encoding]?.(request) ?? request;
  const message = frame(packed, { length: Math.max(0, packed.length + lie) % 2 ** 32 });
  message[0] = flag ?? (encoding === "identity" ? 0 : 1);
  const body = Buffer.concat(Array.from({ length: count }, () => message));
  return body.subarray(0, Math.max(0, body.length - cut));
}

const strangeHeaders = fc.record(
  {
    "grpc-accept-encoding": fc.constantFrom("gzip", "identity", "br", "", ","),
    // No short ones that could be met: those would be no fault.
    "grpc-timeout": fc.constantFrom("10S", "99999999H", "100000m", "9x", "", "-1S", "1.5S", "1H, 2H"),
    "content-type": fc.constantFrom("application/grpc+proto", "application/grpc+json"),
    "x-noise-bin": fc.constantFrom("!", "AA", "AAA=", "A A"),
  },
  { requiredKeys: [] },
);

test("no prefixes and headers, however strange, are a fault of the server", async () => {
  const anyRequest = fc.record({ call: anyCall, packing, headers: rarely({}, strangeHeaders) });
  await fc.assert(
    fc.asyncProperty(fc.array(anyRequest, { minLength: 1, maxLength: 8, size: "max" }), async (requests) => {
      await Promise.all(
        requests.map(async ({ call: { path, request }, packing, headers }) => {
          const outcome = await callRaw(serve.address, {
            headers: {
              ":path": path,
              authorization,
              "grpc-encoding": packing.told ?? packing.encoding,
              ...headers,
            },
            body: bodyOf(request, packing),
          });
          expect({ path, headers, ...packing, ...outcome }).not.toMatchObject({
            code: expect.toBeOneOf(serverFaults),
          });
        }),
      );
      await isWell();
    }),
    { seed: seed(), numRuns: 100, endOnFailure: true },
  );
});
