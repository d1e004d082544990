import { constants, type ServerHttp2Stream } from "node:http2";

/** How often it is looked whether an answer has left, once it waits for the socket. In milliseconds. */
const lookEveryMs = 10;

/**
 * Resets a stream, with NO_ERROR, once the end of its answer has left, unless
 * its request has ended, too (RFC 9113 section 8.1): a client that stops sending
 * upon the answer would keep the stream, and its place among the connection's,
 * for good. Call it when the answer is written.
 */
export function closeOnceAnswered(stream: ServerHttp2Stream): void {
  // As soon as may be: the client may want the place for what it sends upon the answer.
  if (stream.sentHeaders?.["grpc-status"] !== undefined) close(stream);
  else if (stream.sentTrailers === undefined && stream.listenerCount("wantTrailers") > 0)
    stream.once("wantTrailers", () => setImmediate(closeIfLeft, stream));
  else setImmediate(closeIfLeft, stream);
}

/** Looks again until the end of the answer has left: a reset would overtake it, unless it is a frame of headers. */
function closeIfLeft(stream: ServerHttp2Stream): void {
  if (stream.destroyed || stream.state.localClose === 1 || hasTrailers(stream)) close(stream);
  else setTimeout(closeIfLeft, lookEveryMs, stream).unref();
}

/** Node hands trailers over one turn later than it is asked to. */
function hasTrailers({ sentTrailers }: ServerHttp2Stream): boolean {
  return sentTrailers !== undefined && Object.keys(sentTrailers).length > 0;
}

function close(stream: ServerHttp2Stream): void {
  if (!stream.destroyed && stream.state.remoteClose !== 1) stream.close(constants.NGHTTP2_NO_ERROR);
}
