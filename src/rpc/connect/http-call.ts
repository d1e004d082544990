import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type ServerHttp2Stream } from "node:http2";
import type { Metadata } from "nice-grpc";
import type { Status as RpcStatus } from "../../../gen/google/rpc/status_pb.js";
import { type CallHandle, type CallHandles, callIdKey } from "../../net/call-handles.ts";
import { metadataOf } from "../../net/client-headers.ts";
import { createDeadlines, deadlineExceeded } from "../../net/deadlines.ts";
import { IdTable } from "../../net/id-table.ts";

/** A request of either version of HTTP; node:http2 makes its own to look like those of node:http. */
export type HttpRequest = IncomingMessage & { readonly stream?: ServerHttp2Stream };
/** A response of either version of HTTP. */
export type HttpResponse = ServerResponse & { readonly stream?: ServerHttp2Stream };

/** How long a client that reads has to fetch the status of a call that was ended. */
const endGraceMs = 1_000;

/** The calls that are open on the HTTP port. */
export interface HttpCalls extends Pick<CallHandles, "get" | "size"> {
  /** Notes a call that has come in. */
  open(path: string, request: HttpRequest, response: HttpResponse): HttpCall;
}

/** @param maxUnaryDeadlineMs the longest a call may take, in milliseconds, streams apart */
export function createHttpCalls(maxUnaryDeadlineMs: number): HttpCalls {
  const calls = new IdTable<HttpCall>();
  const deadlines = createDeadlines(maxUnaryDeadlineMs, (call: HttpCall) => call.end(deadlineExceeded));
  let lastId = 0;

  return {
    open(path, request, response) {
      const id = ++lastId;
      const call = new HttpCall(String(id), path, request, response, () => deadlines.delete(call));
      calls.set(id, call);
      deadlines.add(call);
      response.once("close", () => {
        calls.delete(id);
        call.close();
      });
      return call;
    },
    get size() {
      return calls.size;
    },
    get: (id) => calls.get(Number(id)),
  };
}

/** One call on the HTTP port, whatever its protocol. */
export class HttpCall implements CallHandle {
  readonly id: string;
  readonly path: string;
  /** The client's headers, as far as the server reads them. Only this edge itself writes the keys that vouch for a caller. */
  readonly metadata: Metadata;
  readonly peer: string;
  readonly response: HttpResponse;
  readonly #abort = new AbortController();
  readonly #leaveDeadline: () => void;
  #endStatus: RpcStatus | undefined;
  #grace: NodeJS.Timeout | undefined;
  #closed = false;
  #whenClosed: (() => void) | undefined;

  constructor(
    id: string,
    path: string,
    request: HttpRequest,
    response: HttpResponse,
    leaveDeadline: () => void,
  ) {
    this.id = id;
    this.path = path;
    this.response = response;
    this.metadata = metadataOf(request.rawHeaders);
    this.metadata.set(callIdKey, id);
    this.peer = `${request.socket.remoteAddress}:${request.socket.remotePort}`;
    this.#leaveDeadline = leaveDeadline;
  }

  /** Aborts, with an AbortError, when the client is gone or the call was ended from outside. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The status it was ended with from outside. */
  get endStatus(): RpcStatus | undefined {
    return this.#endStatus;
  }

  /** Lets the call take as long as it likes: it is a stream, and its handler has begun. */
  outlastDeadline(): void {
    this.#leaveDeadline();
  }

  end(status: RpcStatus): void {
    if (this.#closed || this.#endStatus !== undefined) return;
    this.#endStatus = status;
    this.#abort.abort();
    // A status leaves after the messages before it, so never to a peer that does not read them.
    this.#grace = setTimeout(() => this.#reset(), endGraceMs).unref();
  }

  get unreadBytes(): number {
    return (this.response.stream ?? this.response).writableLength;
  }

  onClosed(closed: () => void): void {
    if (this.#closed) closed();
    else this.#whenClosed = closed;
  }

  /** Notes that the response has ended, well or not. */
  close(): void {
    this.#closed = true;
    this.#whenClosed?.();
    clearTimeout(this.#grace);
    this.#leaveDeadline();
    this.#abort.abort();
  }

  #reset(): void {
    const { stream } = this.response;
    if (stream === undefined) this.response.destroy();
    else stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
}
