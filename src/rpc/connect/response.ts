import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { closeOnceAnswered } from "../../net/early-answers.ts";
import type { HttpRequest, HttpResponse } from "./http-call.ts";
import { readBodyOf } from "./read-body.ts";

/**
 * Sends the library's answer, as fast as the client reads it.
 *
 * When the client goes away the body's iterator is let go at once. What feeds
 * it has to end by the call's signal: an iterator that waits cannot be stopped.
 */
export async function sendResponse(
  answer: UniversalServerResponse,
  request: HttpRequest,
  response: HttpResponse,
): Promise<void> {
  if (answer.body === undefined) {
    sendError(response, protocolError(answer.status, request), answer.status);
    return;
  }
  const body = answer.body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await body.next();
      if (isGone(response)) return;
      if (next.done && !response.headersSent && answer.trailer?.has("grpc-status")) {
        endInHeaders(response, answer);
        return;
      }
      if (!response.headersSent) writeHead(response, answer.status, answer.header);
      if (next.done) break;
      if (!response.write(next.value)) await drained(response);
      if (isGone(response)) return;
    }
    if (answer.trailer !== undefined) response.addTrailers(Object.fromEntries(answer.trailer));
    response.end();
  } finally {
    // A generator that is suspended for good runs its own `finally` now; one that waits does when it is done.
    body.return?.().catch(() => {});
  }
}

/** Answers with an error in the JSON of the Connect protocol. */
export function sendError(
  response: HttpResponse,
  error: ConnectError,
  status = codeToHttpStatus(error.code),
): void {
  if (response.headersSent || isGone(response)) return;
  const body = Buffer.from(JSON.stringify(errorToJson(error, undefined)));
  const headers: Record<string, string | number> = {
    "content-type": "application/json",
    "content-length": body.length,
  };
  if (status === 405) headers["allow"] = "POST";
  response.writeHead(status, headers);
  response.end(body);
}

/**
 * Refuses a request that no handler gets to see, in the words of the protocol
 * that it speaks: clients of gRPC and gRPC-Web take only a status of gRPC for
 * an answer, all others get what `sendError` sends.
 *
 * @param status the HTTP status for those others
 */
export function refuse(
  { headers }: HttpRequest,
  response: HttpResponse,
  error: ConnectError,
  status?: number,
): void {
  const [contentType] = /^application\/grpc(-web(-text)?)?/.exec(headers["content-type"] ?? "") ?? [];
  if (contentType === undefined) {
    sendError(response, error, status);
    return;
  }
  if (response.headersSent || isGone(response)) return;
  const header = new Headers({ "content-type": contentType });
  setTrailerStatus(header, error);
  writeHead(response, 200, header);
  response.end();
}

/** Resolves when what was written has left, or the client has. */
export function drained(response: HttpResponse): Promise<void> {
  return new Promise((resolve) => {
    function done(): void {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    }
    response.on("drain", done);
    response.on("close", done);
  });
}

/** Whether nobody is left to be answered. */
export function isGone(response: HttpResponse): boolean {
  return response.stream?.destroyed ?? response.destroyed;
}

/**
 * Returns the request's body. What is not read of it is thrown away once the
 * response has left: only then can a connection of HTTP/1.1 carry the next
 * request, and one of HTTP/2 another stream.
 */
export function bodyOf(request: HttpRequest, response: HttpResponse): AsyncIterable<Uint8Array> {
  const read = readBodyOf(request);
  if (read !== undefined) return oneChunk(read);
  const body = request.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<Uint8Array>;
  const { stream } = response;
  // The response of HTTP/2 itself says so only when its stream is closed.
  (stream ?? response).once("finish", () => {
    if (request.complete) return;
    body.return?.().then(
      () => request.resume(),
      () => {},
    );
    if (stream !== undefined) closeOnceAnswered(stream);
  });
  return body;
}

/** Answers with headers alone, as gRPC says that no message comes. Node sends trailers later, and separately. */
function endInHeaders(response: HttpResponse, { status, header, trailer }: UniversalServerResponse): void {
  response.statusCode = status;
  for (const headers of [header, trailer])
    for (const [name, value] of headers ?? []) response.setHeader(name, value);
  response.end();
}

async function* oneChunk(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  yield chunk;
}

function writeHead(response: HttpResponse, status: number, headers: Headers | undefined): void {
  response.writeHead(status, headers === undefined ? {} : Object.fromEntries(headers));
}

/** Returns the error for a request that the library answers with a bare status. */
function protocolError(status: number, { method, httpVersion, headers }: HttpRequest): ConnectError {
  switch (status) {
    case 405:
      return new ConnectError(`${method} is not for rpcs: they have effects; use POST`, Code.Unimplemented);
    case 415: {
      const type = headers["content-type"] ?? "none";
      return new ConnectError(
        `the content type ${type.slice(0, 100)} is not one of this rpc's; application/json always is`,
        Code.InvalidArgument,
      );
    }
    default:
      return new ConnectError(`HTTP/${httpVersion} cannot carry this rpc; use HTTP/2`, Code.Unimplemented);
  }
}
