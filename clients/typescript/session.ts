import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { Client, type ClientDuplexStream, Metadata, type StatusObject } from "@grpc/grpc-js";
import {
  ChatService,
  StreamRequestSchema,
  type StreamResponse,
  StreamResponseSchema,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { Closed, Opened, OpenSchema, ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import { encodeRequest, requestOf } from "./arguments.ts";
import { errorOfCall, errorOfRpcStatus, ParlanceError, Status } from "./errors.ts";
import type { EventStream, StreamHandler } from "./streams.ts";
import { millis } from "./time.ts";
import type { Connection } from "./transport.ts";

/** Hears of what a session brings. After `onEnd` nothing comes any more. */
export interface SessionHandler extends StreamHandler {
  /** An answer to a request with a `request_id`. */
  onReply(event: ServerEvent): void;
}

/** The parts that a session needs. */
export interface SessionOptions {
  connection: Connection;
  token: string;
  open: MessageInitShape<typeof OpenSchema>;
  handler: SessionHandler;
}

const streamPath = `/${ChatService.typeName}/${ChatService.method.stream.name}`;
const openRequestId = "open";
const openTimeoutMs = 10_000;
const defaultPingMs = 30_000;
const probeTimeoutMs = 5_000;
const ping = encode({ request: { case: "ping", value: {} } });

/**
 * The life of one open `Stream`.
 *
 * It uses grpc-js without nice-grpc, whose iterators cost several promises per
 * received message.
 */
export class Session implements EventStream {
  readonly #connection: Connection;
  readonly #handler: SessionHandler;
  readonly #call: ClientDuplexStream<Uint8Array, StreamResponse>;
  #timer: NodeJS.Timeout | undefined;
  #openedAt: number | undefined;
  #closed: Closed | undefined;
  #error: ParlanceError | undefined;
  #ended = false;
  #paused = false;
  #halfClosed = false;
  #silentTicks = 0;
  #unsentTicks = 0;
  #probe: NodeJS.Timeout | undefined;
  #heard = false;

  constructor({ connection, token, open, handler }: SessionOptions) {
    this.#connection = connection;
    this.#handler = handler;
    connection.hold();
    const client = new Client("", undefined as never, { channelOverride: connection.channel });
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${token}`);
    this.#call = client.makeBidiStreamRequest(streamPath, asBuffer, decodeResponse, metadata);
    this.#call.on("data", (response: StreamResponse) => this.#receive(response));
    this.#call.on("status", (status) => this.#onStatus(status));
    // The status says the same.
    this.#call.on("error", () => {});
    this.#timer = setTimeout(
      () => this.fail(silence("did not open the stream", openTimeoutMs)),
      openTimeoutMs,
    );
    this.write(encode({ requestId: openRequestId, request: { case: "open", value: open } }));
  }

  /** Whether requests that are written are answered soon. */
  get usable(): boolean {
    return this.#openedAt !== undefined && !this.#paused && !this.#halfClosed && !this.#ended;
  }

  /** Sends an encoded `StreamRequest`. */
  write(request: Uint8Array): void {
    if (this.#ended || this.#halfClosed) return;
    this.#unsentTicks = 0;
    this.#call.write(request);
  }

  /** Stops reading until `resume`; the server keeps what the application does not take. */
  pause(): void {
    this.#paused = true;
    this.#call.pause();
  }

  /** Reads on. */
  resume(): void {
    this.#paused = false;
    this.#silentTicks = 0;
    this.#call.resume();
  }

  /** Asks for a sign of life, and ends the session when none comes within 5 s. */
  probe(): void {
    if (!this.usable || this.#probe !== undefined) return;
    this.#heard = false;
    this.write(ping);
    this.#probe = setTimeout(() => {
      this.#probe = undefined;
      if (!this.#heard && !this.#paused) this.fail(silence("was silent", probeTimeoutMs));
    }, probeTimeoutMs);
  }

  /** Tells the server that no more requests come; it answers those it has and ends the stream. */
  halfClose(): void {
    if (this.#ended || this.#halfClosed) return;
    this.#halfClosed = true;
    this.#call.end();
  }

  /** Ends the session at once. */
  fail(error: ParlanceError): void {
    if (this.#ended) return;
    this.#error = error;
    this.#call.cancel();
    this.#end();
  }

  #receive(response: StreamResponse): void {
    this.#silentTicks = 0;
    this.#heard = true;
    for (const event of response.events) {
      if (this.#ended) return;
      this.#handle(event);
    }
  }

  #handle(event: ServerEvent): void {
    switch (event.event.case) {
      case "opened":
        this.#startTicking(event.event.value);
        this.#handler.onOpened(event.event.value);
        return;
      case "closed":
        this.#closed = event.event.value;
        return;
      case "pong":
        return;
      case "refusal":
        if (event.requestId === openRequestId && event.event.value.status) {
          this.fail(errorOfRpcStatus(event.event.value.status));
          return;
        }
        break;
    }
    if (event.requestId === "") this.#handler.onEvent(event);
    else this.#handler.onReply(event);
  }

  /** Looks twice a ping interval whether something was sent and received. */
  #startTicking(opened: Opened): void {
    this.#openedAt = performance.now();
    clearTimeout(this.#timer);
    const pingMs = millis(opened.limits?.pingInterval) || defaultPingMs;
    this.#timer = setInterval(() => {
      if (++this.#unsentTicks >= 2) this.write(ping);
      if (this.#paused) return;
      if (++this.#silentTicks > 5) this.fail(silence("was silent", pingMs * 2.5));
    }, pingMs / 2);
  }

  #onStatus(status: StatusObject): void {
    const code: number = status.code;
    if (code !== Status.OK) {
      const details = status.metadata.get("grpc-status-details-bin")[0];
      this.#error ??= errorOfCall(code, status.details, details instanceof Buffer ? details : undefined);
    }
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#probe);
    this.#connection.release();
    this.#handler.onEnd({
      closed: this.#closed,
      error: this.#error,
      openMs: this.#openedAt === undefined ? undefined : performance.now() - this.#openedAt,
    });
  }
}

function silence(what: string, ms: number): ParlanceError {
  return new ParlanceError(Status.UNAVAILABLE, `the server ${what} within ${ms} ms`);
}

function encode(init: MessageInitShape<typeof StreamRequestSchema>): Uint8Array {
  return encodeRequest(StreamRequestSchema, requestOf(StreamRequestSchema, init));
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function decodeResponse(bytes: Buffer): StreamResponse {
  return fromBinary(StreamResponseSchema, bytes, { readUnknownFields: false });
}
