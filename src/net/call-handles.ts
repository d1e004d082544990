import { constants, type ServerHttp2Stream } from "node:http2";
import { toBinary } from "@bufbuild/protobuf";
import {
  status as Code,
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from "@grpc/grpc-js";
import { type Status as RpcStatus, StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { statusDetailsKey } from "../../wire/error-details.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import { createDeadlines, deadlineExceeded } from "./deadlines.ts";
import { toStatus } from "./errors.ts";
import { IdTable } from "./id-table.ts";

type Listener = Parameters<ServerInterceptingCallInterface["start"]>[0];
type CallStatus = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0];

/** The metadata in which a call's handler finds the id of its handle. Whatever the client sent there is overwritten. */
export const callIdKey = "parlance-call-id";

/** One call from outside its handler. */
export interface CallHandle {
  readonly id: string;
  /** Such as `/parlance.chat.v1.ChatService/Stream`. */
  readonly path: string;
  /**
   * Sends a response of a stream, already encoded, past the handler: for what
   * is sent so often that the layers between would cost the most. Not while
   * the handler sends, too.
   *
   * @param sent called when the transport has room for the next
   */
  send?(response: Uint8Array, sent: () => void): void;
  /**
   * Has the requests of a stream go to a receiver from now on, past the
   * handler: for what comes so often that the layers between would cost the
   * most. The receiver asks for each by `readNext`; one that is under way
   * already may come without.
   *
   * @returns how many requests went to the handler before; undefined, and
   * nothing done, when it has been told that no more come
   */
  receive?(receiver: Receiver): number | undefined;
  /** Asks for the next request, which may come at once. */
  readNext?(): void;
  /** How much of what was answered waits for the client to read it, in bytes. */
  readonly unreadBytes?: number;
  /** Calls `closed` when the call is over and its answer read, or its client gone. For one listener. */
  onClosed?(closed: () => void): void;
  /**
   * Ends the call, whatever its handler waits for: the signal of its context
   * aborts and responses not yet written are dropped. A client that reads gets
   * the status; from one that does not the stream is taken away after
   * `endGraceMs`. Has no effect on a call that has ended.
   */
  end(status: RpcStatus): void;
}

/** Receives the requests of a stream, bypassing its handler. */
export interface Receiver {
  /** A request came, decoded. */
  onRequest(request: unknown): void;
  /** No more requests come. Not called when the call is cancelled. */
  onEnd(): void;
}

/** The calls that are open on one server. */
export interface CallHandles {
  /** For grpc-js's `ServerOptions.interceptors`, as the first of the list: it has to see what grpc-js itself does to a call. */
  readonly interceptor: ServerInterceptor;
  /** How many calls are open. */
  readonly size: number;
  /** Returns the handle of an open call. */
  get(id: string): CallHandle | undefined;
}

/** How long calls may take. */
export interface CallHandlesOptions {
  /** The longest a unary call may take, in milliseconds, whatever deadline its client names. Default 10,000. */
  maxUnaryDeadlineMs?: number;
  /** How long a client that reads has to fetch the status of a call that was ended, in milliseconds. Default 1,000. */
  endGraceMs?: number;
}

/**
 * Makes handles for all calls of a server, which nice-grpc has none for.
 *
 * It also removes the client's `x-parlance-…` metadata, in which proxies and
 * edges vouch for a caller, ends unary calls that take too long, and lets
 * refusals by grpc-js say what they mean.
 */
export function createCallHandles({
  maxUnaryDeadlineMs = 10_000,
  endGraceMs = 1_000,
}: CallHandlesOptions = {}): CallHandles {
  const calls = new IdTable<HandledCall>();
  const prefixed = createPrefixer();
  const deadlines = createDeadlines(maxUnaryDeadlineMs, (call: HandledCall) => call.end(deadlineExceeded));
  let lastId = 0;

  return {
    interceptor({ path, requestStream, responseStream }, base) {
      const onClosed = () => {
        calls.delete(id);
        deadlines.delete(call);
      };
      const id = ++lastId;
      const call = new HandledCall(base, { id: String(id), path, endGraceMs, prefixed, onClosed });
      calls.set(id, call);
      if (!requestStream && !responseStream) deadlines.add(call);
      return call;
    },
    get size() {
      return calls.size;
    },
    get: (id) => calls.get(Number(id)),
  };
}

/** The options of a handled call. */
interface HandledCallOptions {
  id: string;
  path: string;
  endGraceMs: number;
  prefixed: (message: Uint8Array) => Uint8Array;
  onClosed: () => void;
}

/** Passes everything on to the call of grpc-js, without the layers of its base class: messages go through here. */
class HandledCall extends ServerInterceptingCall implements CallHandle {
  readonly id: string;
  readonly path: string;
  readonly #base: ServerInterceptingCallInterface;
  readonly #endGraceMs: number;
  readonly #prefixed: (message: Uint8Array) => Uint8Array;
  readonly #onClosed: () => void;
  #listener: Listener | undefined;
  #receiver: Receiver | undefined;
  /** How many requests its handler was given. */
  #handedOn = 0;
  #halfClosed = false;
  #statusSent = false;
  #cancelled = false;
  #closed = false;
  #whenClosed: (() => void) | undefined;
  #grace: NodeJS.Timeout | undefined;

  constructor(base: ServerInterceptingCallInterface, options: HandledCallOptions) {
    super(base);
    this.id = options.id;
    this.path = options.path;
    this.#base = base;
    this.#endGraceMs = options.endGraceMs;
    this.#prefixed = options.prefixed;
    this.#onClosed = options.onClosed;
    this.#watchStatus();
  }

  override start(listener: Listener): void {
    this.#listener = listener;
    this.#base.start({
      onReceiveMetadata: (metadata) => {
        for (const key of Object.keys(metadata.getMap()))
          if (key.startsWith("x-parlance-")) metadata.remove(key);
        metadata.set(callIdKey, this.id);
        listener.onReceiveMetadata(metadata);
      },
      onReceiveMessage: (message) => {
        if (this.#cancelled) return;
        if (this.#receiver !== undefined) {
          this.#receiver.onRequest(message);
          return;
        }
        this.#handedOn++;
        listener.onReceiveMessage(message);
      },
      onReceiveHalfClose: () => {
        if (this.#cancelled) return;
        this.#halfClosed = true;
        this.#receiver?.onEnd();
        listener.onReceiveHalfClose();
      },
      // grpc-js calls this once for every call, however it ended.
      onCancel: () => this.#close(),
    });
  }

  override sendMetadata(metadata: Metadata): void {
    this.#base.sendMetadata(metadata);
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.#base.sendMessage(message, callback);
  }

  override sendStatus(status: CallStatus): void {
    this.#base.sendStatus(status);
  }

  send(response: Uint8Array, sent: () => void): void {
    const stream = this.#stream;
    if (stream === undefined) this.#base.sendMessage(response, sent);
    // After an error there is no stream to write the next to.
    else if (stream.writable) stream.write(this.#prefixed(response), sent);
  }

  receive(receiver: Receiver): number | undefined {
    if (this.#halfClosed) return undefined;
    this.#receiver = receiver;
    return this.#handedOn;
  }

  readNext(): void {
    this.#base.startRead();
  }

  get unreadBytes(): number {
    return this.#stream?.writableLength ?? 0;
  }

  onClosed(closed: () => void): void {
    if (this.#closed) closed();
    else this.#whenClosed = closed;
  }

  end(status: RpcStatus): void {
    if (this.#closed) return;
    this.#base.sendStatus(toCallStatus(status));
    this.#cancel();
    // A status leaves after the messages before it, so never to a peer that
    // does not read them.
    this.#grace ??= setTimeout(() => this.#reset(), this.#endGraceMs).unref();
  }

  /**
   * Sees every status of the call. grpc-js sends its own refusals not through
   * interceptors but by this method, and takes a second status for the end of
   * a call that is still blocked.
   */
  #watchStatus(): void {
    const send = this.#base.sendStatus.bind(this.#base);
    const deadline = Number(this.#base.getDeadline());
    const overflowed = deadline < Date.now() - 1;
    this.#base.sendStatus = (status) => {
      if (this.#statusSent || (overflowed && isDeadline(status))) return;
      this.#statusSent = true;
      send(explain(status));
    };
  }

  #cancel(): void {
    if (this.#cancelled) return;
    this.#cancelled = true;
    this.#listener?.onCancel();
  }

  #close(): void {
    this.#closed = true;
    clearTimeout(this.#grace);
    this.#onClosed();
    this.#whenClosed?.();
    this.#cancel();
  }

  /** Resets the stream. grpc-js has no public way to; clients see RESOURCE_EXHAUSTED. */
  #reset(): void {
    this.#stream?.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  /** The stream grpc-js writes to. It keeps that to itself; a test tells when its name changes. */
  get #stream(): ServerHttp2Stream | undefined {
    return (this.#base as { stream?: ServerHttp2Stream }).stream;
  }
}

/** How many bytes come before a message: whether it is compressed, and its length. */
const prefixBytes = 5;

/**
 * Makes what puts gRPC's prefix before a message (gRPC over HTTP/2,
 * Length-Prefixed-Message). What goes to many streams comes here many times in
 * a row and is copied once.
 */
function createPrefixer(): (message: Uint8Array) => Uint8Array {
  let last: Uint8Array | undefined;
  let lastPrefixed: Uint8Array = Buffer.alloc(0);
  return (message) => {
    if (message === last) return lastPrefixed;
    const whole = Buffer.allocUnsafe(prefixBytes + message.length);
    whole[0] = 0;
    whole.writeUInt32BE(message.length, 1);
    whole.set(message, prefixBytes);
    last = message;
    lastPrefixed = whole;
    return whole;
  };
}

const badTimeout = refusal(ErrorReason.INVALID_METADATA, "the metadata grpc-timeout is malformed");
const badCompression = refusal(
  ErrorReason.UNDECODABLE_REQUEST,
  "the request is not compressed as its grpc-encoding says",
);

/** Says what grpc-js means: it calls some faults of the client INTERNAL, and gives deadlines no details. */
function explain(status: CallStatus): CallStatus {
  if (status.metadata) return status;
  if (isDeadline(status)) return toCallStatus(deadlineExceeded);
  const sizes = /^Received message larger than max \((\d+) vs\.? (\d+)\)/.exec(status.details ?? "");
  if (sizes !== null) {
    const message = `the request has ${sizes[1]} bytes, more than the ${sizes[2]} allowed`;
    return toCallStatus(refusal(ErrorReason.REQUEST_TOO_LARGE, message));
  }
  if (status.code !== Code.INTERNAL) return status;
  if (status.details?.startsWith("Invalid grpc-timeout")) return toCallStatus(badTimeout);
  if (status.details === "Failed to decompress message") return toCallStatus(badCompression);
  return status;
}

/**
 * Whether it is grpc-js's own timer that ends the call. That timer overflows:
 * a deadline more than 24 days away can become one that has passed, which the
 * client did not ask for.
 */
function isDeadline(status: CallStatus): boolean {
  return status.code === Code.DEADLINE_EXCEEDED && status.details === "Deadline exceeded";
}

function refusal(reason: ErrorReason, message: string): RpcStatus {
  return toStatus(new ChatError(reason, message), () => {});
}

function toCallStatus(status: RpcStatus): CallStatus {
  const metadata = new Metadata();
  if (status.details.length > 0) metadata.set(statusDetailsKey, Buffer.from(toBinary(StatusSchema, status)));
  return { code: status.code, details: status.message, metadata };
}
