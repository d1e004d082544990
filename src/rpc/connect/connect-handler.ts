import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createConnectRouter, createContextValues } from "@connectrpc/connect";
import type { UniversalHandler, UniversalServerRequest } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";
import { ChatService } from "../../../gen/parlance/chat/v1/chat_service_pb.js";
import { chatServices } from "../../../wire/services.ts";
import type { Logins } from "../../chat/logins.ts";
import type { ChatError } from "../../model/errors.ts";
import type { Logger } from "../../model/logger.ts";
import { wrongHeaders } from "../../net/client-headers.ts";
import { beforeErrorIsWritten } from "../../net/connect-errors.ts";
import { authenticate } from "../authentication.ts";
import { Call, pathOf } from "../calls.ts";
import type { MountableService } from "../services.ts";
import { callContextOf, failedKey, httpCallKey, type Implementation, toConnectMethod } from "./adapter.ts";
import { refusalOf, toConnectError } from "./errors.ts";
import {
  createHttpCalls,
  type HttpCall,
  type HttpCalls,
  type HttpRequest,
  type HttpResponse,
} from "./http-call.ts";
import { jsonOptions } from "./json.ts";
import { isJsonLinesRequest, listenInJsonLines, unwritable } from "./json-lines.ts";
import { jsonMethodOf } from "./json-schemas.ts";
import { bodyLost, headerOf } from "./read-body.ts";
import { bodyOf, refuse, sendResponse } from "./response.ts";
import { toOriginForm } from "./target.ts";
import { answerInText } from "./web-text.ts";

/** The options of the Connect edge. */
export interface ConnectHandlerOptions {
  /** Makes the services of the contract; calls can be ended by what it is given. */
  services: (handles: Pick<HttpCalls, "get">) => readonly MountableService[];
  /** Services beside them: health, reflection. Anyone may call them. */
  openServices?: readonly Pick<MountableService, "service" | "implementation">[];
  logins: Pick<Logins, "resolve">;
  log: Logger;
  /** The largest request, in bytes, compressed or not. */
  maxRequestBytes: number;
  /** The longest a call may take that is no stream, in milliseconds, whatever its client says. */
  maxUnaryDeadlineMs: number;
}

/** The rpcs as requests of HTTP. */
export interface ConnectHandler {
  /** Answers a request if its path names an rpc. Returns whether it does. */
  handle(request: HttpRequest, response: HttpResponse): boolean;
  /** The calls that are open. */
  readonly calls: HttpCalls;
}

/**
 * Serves the contract in the Connect, gRPC-Web and gRPC protocols, in Protobuf
 * and JSON, by the implementations that the gRPC port has too. `Listen` also
 * answers in lines of JSON.
 */
export function createConnectHandler(options: ConnectHandlerOptions): ConnectHandler {
  const { logins, log, maxRequestBytes } = options;
  const calls = createHttpCalls(options.maxUnaryDeadlineMs);
  const services = options.services(calls);

  const router = createConnectRouter({
    acceptCompression: [compressionGzip],
    compressMinBytes: 4_096,
    readMaxBytes: maxRequestBytes,
    // As in binary, what a newer client knows more is no error.
    jsonOptions,
    binaryOptions: { readUnknownFields: false },
    // Before the body is read: nobody gets to send one without a token.
    async requestGate(context) {
      const call = context.values.get(httpCallKey) as HttpCall;
      const { method } = context;
      beforeErrorIsWritten(context, (reason) => {
        if (explain(reason, call, method, maxRequestBytes, log) || context.values.get(failedKey)) return;
        if (reason instanceof ConnectError && reason.code === Code.Internal)
          log.error({ method: pathOf(method), err: reason }, unwritable);
      });
      if (!needsCaller(method)) return;
      const resolved = authenticateOrFail(call, method, logins, log);
      if (resolved instanceof Promise) await resolved;
    },
  });
  for (const { service, implementation } of [...services, ...(options.openServices ?? [])]) {
    for (const method of service.methods) {
      const run = (implementation[method.localName] as Implementation).bind(implementation);
      const answer = toConnectMethod(method, run, maxRequestBytes) as never;
      router.rpc(postOnly(method), answer);
      router.rpc(postOnly(jsonMethodOf(method)), answer);
    }
  }
  // Of the two with one path the one for JSON comes second.
  const handlers = new Map(router.handlers.toReversed().map((handler) => [handler.requestPath, handler]));
  const jsonHandlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  const listenPath = `/${pathOf(ChatService.method.listen)}`;
  const listen = services.find(({ service }) => service === ChatService)?.implementation["listen"];

  return {
    calls,
    handle(request, response) {
      toOriginForm(request);
      const path = request.url?.split("?", 1)[0] ?? "";
      const inJson = request.headers["content-type"]?.toLowerCase().includes("json") ?? false;
      const handler = (inJson ? jsonHandlers : handlers).get(path);
      if (handler === undefined) return false;
      const lost = bodyLost(request);
      if (lost !== undefined) {
        log.warn({ method: pathOf(handler.method) }, lost.rawMessage);
        refuse(request, response, lost);
        return true;
      }
      const call = calls.open(path, request, response);
      const wrong = wrongHeaders(request.rawHeaders);
      if (wrong !== undefined) {
        bodyOf(request, response);
        refuse(request, response, failed(wrong, call, handler.method, log));
        return true;
      }
      if (path === listenPath && isJsonLinesRequest(request)) {
        listenInJsonLines(listen as Implementation, request, call, maxRequestBytes, log);
        return true;
      }
      const universal = universalRequestOf(request, call);
      dropUnusableHeaders(universal.header, handler);
      answerInText(handler, universal)
        .then((answer) => sendResponse(answer, request, response))
        .catch((err: unknown) => {
          log.warn({ method: pathOf(handler.method), err }, "response failed");
          response.destroy();
        });
      return true;
    },
  };
}

/**
 * Returns a method that the library answers to POST alone. It would take a GET
 * for rpcs without side effects, with the request in the URL, which proxies log.
 */
function postOnly(method: DescMethod): DescMethod {
  return { ...method, idempotency: MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN };
}

/** Returns a request as the library takes it, with what its protocols read of the headers and nothing else. */
function universalRequestOf(request: HttpRequest, call: HttpCall): UniversalServerRequest {
  const { response } = call;
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  return {
    httpVersion: request.httpVersion,
    method: request.method ?? "",
    // Only the query is read, never the host.
    url: new URL(request.url ?? "", "http://localhost").href,
    header: headerOf(request),
    body: bodyOf(request, response),
    signal: gone.signal,
    contextValues: createContextValues().set(httpCallKey, call),
  };
}

const callersMethods = new Set(chatServices.flatMap(({ methods }) => methods.map(pathOf)));
callersMethods.delete(pathOf(ChatService.method.login));

function needsCaller(method: DescMethod): boolean {
  return callersMethods.has(pathOf(method));
}

/** Fails as the call itself would for want of a caller, its line of the log included. */
function authenticateOrFail(
  call: HttpCall,
  method: DescMethod,
  logins: Pick<Logins, "resolve">,
  log: Logger,
): unknown {
  const fail = (error: unknown): never => {
    const context = callContextOf(call, () => {});
    throw toConnectError(new Call(pathOf(method), context, log).fail(error), context.trailer);
  };
  try {
    const caller = authenticate(call.metadata, logins);
    return caller instanceof Promise ? caller.catch(fail) : caller;
  } catch (error) {
    return fail(error);
  }
}

/**
 * Puts what the contract says in place of what the library says, and logs the call, which no handler has seen.
 *
 * @returns whether the error is the client's fault
 */
function explain(
  error: unknown,
  call: HttpCall,
  method: DescMethod,
  maxRequestBytes: number,
  log: Logger,
): boolean {
  const refusal = refusalOf(error, maxRequestBytes);
  if (refusal === undefined) return false;
  const { code, message, rawMessage, details } = failed(refusal, call, method, log);
  Object.assign(error as ConnectError, { code, message, rawMessage, details });
  return true;
}

/** Logs that a call was refused before a handler saw it, and returns what its caller gets. */
function failed(refusal: ChatError, call: HttpCall, method: DescMethod, log: Logger): ConnectError {
  const context = callContextOf(call, () => {});
  return toConnectError(new Call(pathOf(method), context, log).fail(refusal), context.trailer);
}

/** The longest time a Node timer takes. A longer one would fire at once. */
const maxTimerMs = 2_147_483_647;
const unitMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 0.001, n: 0.000_001 };

/** Leaves out deadlines too far away for a timer, and has streams sent as they are: to compress them for each reader costs more than it saves. */
function dropUnusableHeaders(header: Headers, { method }: UniversalHandler): void {
  const [timeoutMs] = /^\d{10}$/.exec(header.get("connect-timeout-ms") ?? "") ?? [];
  if (Number(timeoutMs) > maxTimerMs) header.delete("connect-timeout-ms");
  const [, amount, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(header.get("grpc-timeout") ?? "") ?? [];
  if (Number(amount) * (unitMs[unit] ?? 0) > maxTimerMs) header.delete("grpc-timeout");
  if (method.methodKind === "unary") return;
  header.delete("connect-accept-encoding");
  header.delete("grpc-accept-encoding");
}
