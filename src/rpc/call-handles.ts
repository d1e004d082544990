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
import { ChatError, ErrorReason } from "../errors.ts";
import { createDeadlines, deadlineExceeded } from "./deadlines.ts";
import { statusDetailsKey } from "./error-details.ts";
import { toStatus } from "./errors.ts";

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
   * Ends the call, whatever its handler waits for: the signal of its context
   * aborts and responses not yet written are dropped. A client that reads gets
   * the status; from one that does not the stream is taken away after
   * `endGraceMs`. Has no effect on a call that has ended.
   */
  end(status: RpcStatus): void;
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
  const calls = new Map<string, HandledCall>();
  const deadlines = createDeadlines(maxUnaryDeadlineMs, (call: HandledCall) => call.end(deadlineExceeded));
  let lastId = 0;

  return {
    interceptor({ path, requestStream, responseStream }, base) {
      const call = new HandledCall(base, String(++lastId), path, endGraceMs, () => {
        calls.delete(call.id);
        deadlines.delete(call);
      });
      calls.set(call.id, call);
      if (!requestStream && !responseStream) deadlines.add(call);
      return call;
    },
    get size() {
      return calls.size;
    },
    get: (id) => calls.get(id),
  };
}

/** Passes everything on to the call of grpc-js, without the layers of its base class: messages go through here. */
class HandledCall extends ServerInterceptingCall implements CallHandle {
  readonly id: string;
  readonly path: string;
  readonly #base: ServerInterceptingCallInterface;
  readonly #endGraceMs: number;
  readonly #onClosed: () => void;
  #listener: Listener | undefined;
  #statusSent = false;
  #cancelled = false;
  #closed = false;
  #grace: NodeJS.Timeout | undefined;

  constructor(
    base: ServerInterceptingCallInterface,
    id: string,
    path: string,
    endGraceMs: number,
    onClosed: () => void,
  ) {
    super(base);
    this.id = id;
    this.path = path;
    this.#base = base;
    this.#endGraceMs = endGraceMs;
    this.#onClosed = onClosed;
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
        if (!this.#cancelled) listener.onReceiveMessage(message);
      },
      onReceiveHalfClose: () => {
        if (!this.#cancelled) listener.onReceiveHalfClose();
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
    this.#cancel();
  }

  /** Resets the stream. grpc-js has no public way to; clients see RESOURCE_EXHAUSTED. */
  #reset(): void {
    const { stream } = this.#base as { stream?: ServerHttp2Stream };
    stream?.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
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
