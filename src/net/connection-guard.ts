import {
  constants,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { toBinary } from "@bufbuild/protobuf";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { statusDetailsKey } from "../../wire/error-details.ts";
import type { ChatError } from "../model/errors.ts";
import type { Logger } from "../model/logger.ts";
import { failureFacts } from "../telemetry/failure-facts.ts";
import { wrongMetadata } from "./client-headers.ts";
import { toStatus } from "./errors.ts";
import { type Keepalive, probe } from "./keepalive.ts";
import { guardStreams } from "./stream-guard.ts";
import { tableStreams } from "./stream-table.ts";

type StreamListener = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  rawHeaders: string[],
) => void;

/**
 * Does to the connections of a server of grpc-js what grpc-js leaves undone.
 * Call it before the server listens.
 *
 * @param log gets a line for each call that could not even be begun
 */
export function guardConnections(
  server: Http2Server,
  maxConnections: number,
  keepalive: Keepalive,
  log: Logger,
): void {
  // Node closes further ones as soon as they come.
  server.maxConnections = maxConnections;
  server.on("connection", probe);
  // Node makes the session of a socket within the event that brings it, after this listener.
  let socket: Socket;
  server.prependListener(isSecure(server) ? "secureConnection" : "connection", (next: Socket) => {
    socket = next;
  });
  server.on("session", (session) => guardSession(session, socket, keepalive));
  const own = server.listeners("stream") as StreamListener[];
  server.removeAllListeners("stream");
  server.on("stream", ((stream, headers, flags, rawHeaders) => {
    if (headers[":method"] !== "POST") {
      refuseMethod(stream);
      return;
    }
    const wrong = wrongMetadata(rawHeaders);
    if (wrong !== undefined) {
      refuseCall(stream, wrong);
      return;
    }
    restoreAuthorizations(headers, rawHeaders);
    try {
      for (const listener of own) listener.call(server, stream, headers, flags, rawHeaders);
    } catch (error) {
      log.error(failureFacts(error), "call failed before it began");
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
  }) satisfies StreamListener);
  guardStreams(server);
}

/** Does to a connection of HTTP/2 what Node leaves undone. Within the event that brings it. */
export function guardSession(session: ServerHttp2Session, socket: Socket, keepalive: Keepalive): void {
  tableStreams(session);
  endIfFlooded(session);
  keepalive.watch(session, socket);
}

function isSecure(server: Http2Server): boolean {
  return server.listenerCount("secureConnection") > 0;
}

/** Answers as HTTP does (RFC 9110 section 15.5.6), whatever body may still come. */
function refuseMethod(stream: ServerHttp2Stream): void {
  stream.on("error", () => {});
  stream.respond({ ":status": constants.HTTP_STATUS_METHOD_NOT_ALLOWED, allow: "POST" }, { endStream: true });
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/** Answers as gRPC does when there is nothing but a status (gRPC over HTTP/2, Trailers-Only), whatever body may still come. */
function refuseCall(stream: ServerHttp2Stream, refusal: ChatError): void {
  const status = toStatus(refusal, () => {});
  stream.on("error", () => {});
  stream.respond(
    {
      ":status": constants.HTTP_STATUS_OK,
      "content-type": "application/grpc",
      "grpc-status": String(status.code),
      "grpc-message": encodeURIComponent(status.message),
      [statusDetailsKey]: Buffer.from(toBinary(StatusSchema, status)).toString("base64"),
    },
    { endStream: true },
  );
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/** Gives every value of `authorization`, of which Node keeps the first alone, so that a doubt can be seen. */
function restoreAuthorizations(headers: IncomingHttpHeaders, rawHeaders: readonly string[]): void {
  const first = rawHeaders.indexOf("authorization");
  if (first === -1 || rawHeaders.indexOf("authorization", first + 1) === -1) return;
  const values = rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1] === "authorization");
  headers.authorization = values.join(", ");
}

/** How many frames that ask for an answer and carry no call a connection may send before they are looked at. */
const maxControlFrames = 500;
/** In this time so many are no flood. */
const calmMs = 10_000;
/**
 * A client that measures its bandwidth sends a ping for each piece of data it
 * gets. So pings are no flood either where the server wrote that much for each:
 * the 17 bytes of the answer, the head of a frame of data and a little in it.
 */
const bytesPerMeasure = 49;

/**
 * Ends a connection that floods the server with PING (CVE-2019-9512) or
 * SETTINGS (CVE-2019-9515), and tells it so in the words of gRPC, upon which
 * clients ping less often.
 */
function endIfFlooded(session: ServerHttp2Session): void {
  let frames = 0;
  let sinceMs = performance.now();
  let writtenBefore = 0;

  function count(): void {
    if (++frames < maxControlFrames || session.destroyed) return;
    const nowMs = performance.now();
    const written = session.socket.bytesWritten;
    if (nowMs - sinceMs < calmMs && written - writtenBefore < frames * bytesPerMeasure) {
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from("too_many_pings"));
      session.destroy();
      return;
    }
    frames = 0;
    sinceMs = nowMs;
    writtenBefore = written;
  }

  session.on("ping", count);
  session.on("remoteSettings", count);
}
