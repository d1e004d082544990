import { fromBinary, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import {
  ChatService,
  type ListenRequest,
  ListenRequestSchema,
  ListenResponseSchema,
} from "../../../gen/parlance/chat/v1/chat_service_pb.js";
import { Undecodable } from "../../../wire/definition.ts";
import type { Logger } from "../../model/logger.ts";
import { toStatus } from "../../net/errors.ts";
import { pathOf } from "../calls.ts";
import { callContextOf, endOf, type Implementation } from "./adapter.ts";
import { plainContentType } from "./content-type.ts";
import { connectErrorOf, tooLarge } from "./errors.ts";
import type { HttpCall, HttpRequest } from "./http-call.ts";
import { jsonOptions, toJsonForm } from "./json.ts";
import { jsonSchemaOf } from "./json-schemas.ts";
import { bodyOf, drained, isGone, sendError } from "./response.ts";

/** The log message for an answer that cannot be written in its format. */
export const unwritable = "an answer could not be written";

/** Whether `Listen` is asked for by plain JSON, as `curl` does, and not in one of the protocols. */
export function isJsonLinesRequest({ method, headers }: HttpRequest): boolean {
  return method === "POST" && plainContentType(headers["content-type"] ?? "") === "application/json";
}

/**
 * Answers `Listen` with a `ListenResponse` in JSON on each line. An error that
 * comes after the first line is a line of its own, `{"error": …}`, the last
 * one.
 */
export function listenInJsonLines(
  listen: Implementation,
  request: HttpRequest,
  call: HttpCall,
  maxRequestBytes: number,
  log: Logger,
): void {
  run(listen, request, call, maxRequestBytes, log).catch(() => call.response.destroy());
}

async function run(
  listen: Implementation,
  request: HttpRequest,
  call: HttpCall,
  maxRequestBytes: number,
  log: Logger,
): Promise<void> {
  const { response } = call;
  const context = callContextOf(call, (header) => {
    const headers = Object.fromEntries([...header].map(([key, values]) => [key, values.join(", ")]));
    response.writeHead(200, {
      ...headers,
      "content-type": "application/x-ndjson",
      "cache-control": "no-store",
    });
    response.flushHeaders();
  });
  try {
    const message = await readRequest(bodyOf(request, response), maxRequestBytes);
    call.outlastDeadline();
    for await (const bytes of listen(message, context) as AsyncIterable<Uint8Array>) {
      if (isGone(response)) return;
      const line = lineOf(bytes, log);
      if (!response.write(`${line}\n`)) await drained(response);
    }
    if (call.endStatus !== undefined) throw connectErrorOf(call.endStatus);
    response.end();
  } catch (thrown) {
    const error = endOf(thrown, call, context);
    if (!response.headersSent) sendError(response, error);
    else if (!isGone(response)) response.end(`${JSON.stringify({ error: errorToJson(error, undefined) })}\n`);
  }
}

const lineSchema = jsonSchemaOf(ListenResponseSchema);

function lineOf(bytes: Uint8Array, log: Logger): string {
  try {
    const message = toJsonForm(ListenResponseSchema, fromBinary(ListenResponseSchema, bytes));
    return toJsonString(lineSchema, message, jsonOptions);
  } catch (err) {
    log.error({ method: pathOf(ChatService.method.listen), err }, unwritable);
    throw err;
  }
}

async function readRequest(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<ListenRequest> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) break;
    chunks.push(chunk);
  }
  if (size > maxBytes) throw connectErrorOf(toStatus(tooLarge(maxBytes), () => {}));
  try {
    const text = jsonOptions.textDecoder.decode(Buffer.concat(chunks)) || "{}";
    return fromJsonString(ListenRequestSchema, text, jsonOptions);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    // Refused by whoever wraps the handlers, after the caller is known.
    return new Undecodable(`the request cannot be read: ${cause}`) as unknown as ListenRequest;
  }
}
