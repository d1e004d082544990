/** HTTP/2 peers that do what no client of gRPC does. */

import { once } from "node:events";
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { Status } from "nice-grpc";
import { readErrorDetails, statusDetailsKey } from "../../wire/error-details.ts";

/** What the server did with a call of a raw peer. */
export interface Outcome {
  /** The HTTP status; undefined when there was no response. */
  http: number | undefined;
  /** The status code's name; undefined when there was none. */
  code: string | undefined;
  reason: string;
  message: string;
  /** The code of HTTP/2 that the stream ended with; 0 when it ended well. */
  reset: number | undefined;
}

/** How a request is sent. */
export interface RawRequest {
  headers?: Record<string, string>;
  body?: Uint8Array;
  /** Whether the peer goes on as if more were to come. */
  open?: boolean;
}

/** Puts the prefix of gRPC before a message. */
export function frame(message: Uint8Array, { compressed = false, length = message.length } = {}): Buffer {
  const prefix = Buffer.from([compressed ? 1 : 0, 0, 0, 0, 0]);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

/** Opens a connection that may send headers of any size. */
export function openConnection(address: string): ClientHttp2Session {
  const connection = connect(`http://${address}`, {
    maxSendHeaderBlockLength: 10_000_000,
    maxOutstandingPings: 10_000,
  });
  // What the server does to the connection shows in its calls.
  connection.on("error", () => {});
  return connection;
}

/** Makes one call on a connection of its own and resolves when its stream is closed, or has a status. */
export async function callRaw(
  address: string,
  { headers = {}, body, open = false }: RawRequest,
): Promise<Outcome> {
  const connection = openConnection(address);
  const outcome: Outcome = { http: undefined, code: undefined, reason: "", message: "", reset: undefined };
  const read = (received: IncomingHttpHeaders) => {
    outcome.http ??= Number(received[":status"]);
    if (received["grpc-status"] === undefined) return;
    outcome.code = Status[Number(received["grpc-status"])];
    outcome.message = decodeURIComponent(String(received["grpc-message"] ?? ""));
    const details = received[statusDetailsKey];
    if (typeof details === "string")
      outcome.reason = readErrorDetails(Buffer.from(details, "base64")).reasonName;
  };
  const stream = connection.request({
    ":method": "POST",
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  await new Promise<void>((resolve) => {
    stream.on("response", (received) => {
      read(received);
      if (open && outcome.code !== undefined) resolve();
    });
    stream.on("trailers", read);
    stream.on("error", () => {});
    stream.on("close", () => {
      outcome.reset = stream.rstCode;
      resolve();
    });
    stream.resume();
    if (body !== undefined) stream.write(body);
    if (!open) stream.end();
  });
  connection.destroy();
  return outcome;
}

/** The types of frames (RFC 9113 section 6). */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** A frame that was received. */
interface ReceivedFrame {
  type: number;
  streamId: number;
  payload: Buffer;
}

/** A peer that writes frames by hand. */
export class FramePeer {
  /** What the server sent. */
  readonly received: ReceivedFrame[] = [];
  closed = false;
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => this.#read(bytes));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
    });
  }

  /** Connects and says what every connection begins with. */
  static async connect(address: string): Promise<FramePeer> {
    const { hostname, port } = new URL(`http://${address}`);
    const socket = connectTcp(Number(port), hostname);
    await once(socket, "connect");
    const peer = new FramePeer(socket);
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    peer.send(FrameType.SETTINGS, 0, 0, Buffer.alloc(0));
    return peer;
  }

  send(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    this.write(frameBytes(type, flags, streamId, payload));
  }

  /** Sends bytes that need not be frames. */
  write(bytes: Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  /** Says that no more comes. */
  end(): void {
    this.#socket.end();
  }

  /** Makes a call with one empty message. Headers are sent as they are, in this order, repeats and all. */
  call(streamId: number, path: string, headers: ReadonlyArray<[string, string]>): void {
    this.send(FrameType.HEADERS, 4, streamId, headerBlock(path, headers));
    this.send(FrameType.DATA, 1, streamId, Buffer.alloc(5));
  }

  /** The frames of a type that were received. */
  framesOf(type: number): ReceivedFrame[] {
    return this.received.filter((received) => received.type === type);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < 9 + length) return;
      const type = this.#rest[3] as number;
      const streamId = this.#rest.readUInt32BE(5);
      this.received.push({ type, streamId, payload: this.#rest.subarray(9, 9 + length) });
      this.#rest = this.#rest.subarray(9 + length);
    }
  }
}

/** Encodes a frame (RFC 9113 section 4.1), which may lie about its length. */
export function frameBytes(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array,
  length = payload.length,
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** Encodes headers as literals, without Huffman coding and without the dynamic table (RFC 7541 section 6.2.2). */
export function headerBlock(path: string, headers: ReadonlyArray<[string, string]>): Buffer {
  const all: Array<[string, string]> = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...headers,
  ];
  return headerFields(all);
}

/** Encodes headers as `headerBlock` does, without adding any. Text stands for bytes, a character each. */
export function headerFields(fields: ReadonlyArray<readonly [string, string]>): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  const length: number[] = [];
  if (bytes.length < 127) {
    length.push(bytes.length);
  } else {
    length.push(127);
    let rest = bytes.length - 127;
    for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}
