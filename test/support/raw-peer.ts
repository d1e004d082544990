/** A peer that speaks HTTP/2 and gRPC's framing by itself, and reads only when told to. */

import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { StreamRequestSchema, StreamResponseSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";

/** An open `Stream` whose answers stay in the network until they are read. */
export interface RawPeer {
  /** What was read so far. */
  events: ServerEvent[];
  /** The trailers, once they came. */
  trailers: () => Record<string, unknown> | undefined;
  send: (request: MessageInitShape<typeof StreamRequestSchema>) => void;
  /** Begins to read. */
  read: () => void;
  /** Stops reading. */
  pause: () => void;
  close: () => Promise<void>;
}

/** Opens a `Stream`, sends `open` and reads on until the session is open; then it reads nothing. */
export async function openRawStream(address: string, token: string, open: object = {}): Promise<RawPeer> {
  const session = connect(`http://${address}`, {
    settings: { initialWindowSize: 16_384, enablePush: false },
  });
  session.on("error", () => {});
  await new Promise<void>((resolve, reject) => {
    session.once("connect", () => resolve());
    session.once("error", reject);
  });
  const stream = session.request({
    ":method": "POST",
    ":path": "/parlance.chat.v1.ChatService/Stream",
    "content-type": "application/grpc",
    te: "trailers",
    authorization: `Bearer ${token}`,
  });
  stream.on("error", () => {});
  const events: ServerEvent[] = [];
  let trailers: Record<string, unknown> | undefined;
  stream.on("trailers", (headers) => {
    trailers = headers;
  });
  const responded = new Promise<void>((resolve, reject) => {
    stream.once("response", () => resolve());
    stream.once("close", () => reject(new Error("the call ended before it began")));
  });

  const opened = new Promise<void>((resolve) => {
    onMessages(stream, (message) => {
      events.push(...fromBinary(StreamResponseSchema, message).events);
      resolve();
    });
  });

  const send: RawPeer["send"] = (request) => {
    stream.write(framed(toBinary(StreamRequestSchema, create(StreamRequestSchema, request))));
  };
  send({ request: { case: "open", value: open } });
  await responded;
  await opened;
  stream.pause();
  return {
    events,
    trailers: () => trailers,
    send,
    read: () => stream.resume(),
    pause: () => stream.pause(),
    close: () => closed(session),
  };
}

/** Calls with each message of a response. */
function onMessages(stream: ClientHttp2Stream, onMessage: (message: Uint8Array) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  stream.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 5) {
      const end = 5 + rest.readUInt32BE(1);
      if (rest.length < end) return;
      onMessage(new Uint8Array(rest.subarray(5, end)));
      rest = rest.subarray(end);
    }
  });
}

function framed(message: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

function closed(session: ClientHttp2Session): Promise<void> {
  return new Promise((resolve) => {
    if (session.destroyed) return resolve();
    session.once("close", () => resolve());
    session.destroy();
  });
}
