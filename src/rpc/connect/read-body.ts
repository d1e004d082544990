import { Code, ConnectError } from "@connectrpc/connect";
import { protocolHeaders } from "../../net/client-headers.ts";
import { plainContentType } from "./content-type.ts";
import type { HttpRequest } from "./http-call.ts";

/** The error for a request whose body was already consumed. */
const lostMessage =
  "the body was read before it got to handleHttp; let handleHttp come before body parsers, or have them leave JSON or a Buffer in request.body";

/** Returns what is wrong with a request whose body somebody has read and not left behind. */
export function bodyLost(request: HttpRequest): ConnectError | undefined {
  const lost = request.readableDidRead && readBodyOf(request) === undefined;
  return lost ? new ConnectError(lostMessage, Code.Internal) : undefined;
}

/** Returns what the protocols read of a request's headers, as they know it. */
export function headerOf(request: HttpRequest): Headers {
  const header = protocolHeaders(request.headers);
  const type = header.get("content-type");
  if (type !== null) header.set("content-type", plainContentType(type));
  // What a body parser has left is neither compressed nor of that length.
  if (request.readableDidRead) for (const name of ["content-encoding", "content-length"]) header.delete(name);
  return header;
}

/**
 * Returns the body of a request that somebody has read before, as body parsers
 * of frameworks do, which leave what they read in `request.body`; undefined when
 * the body is still to be read, or lost.
 */
export function readBodyOf(request: HttpRequest): Uint8Array | undefined {
  if (!request.readableDidRead) return undefined;
  const { body } = request as { body?: unknown };
  if (body instanceof Uint8Array) return body;
  const {
    "content-type": type = "",
    "content-length": length,
    "transfer-encoding": encoding,
  } = request.headers;
  if (body === undefined && (length ?? "0") === "0" && encoding === undefined) return new Uint8Array();
  // What is not JSON is bytes, which a text or an object made of them has lost.
  const isJson = plainContentType(type) === "application/json";
  if (isJson && typeof body === "string") return Buffer.from(body);
  if (isJson && typeof body === "object" && body !== null) return Buffer.from(JSON.stringify(body));
  return undefined;
}
