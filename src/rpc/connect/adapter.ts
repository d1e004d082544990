/** Lets implementations that were written for nice-grpc answer calls of the Connect library. */

import type { DescMethod, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { type CallContext, Metadata } from "nice-grpc";
import type { ChatError } from "../../errors.ts";
import { deadlineExceeded } from "../deadlines.ts";
import { toStatus } from "../errors.ts";
import { toMessage } from "./codec.ts";
import { connectErrorOf, refusalOf, toConnectError } from "./errors.ts";
import type { HttpCall } from "./http-call.ts";
import { unwrapOpaque } from "./json.ts";

/** Where a call's handler finds the call. */
export const httpCallKey = createContextKey<HttpCall | undefined>(undefined, {
  description: "the call as HTTP brought it",
});

/** A method's implementation as nice-grpc would call it. */
export type Implementation = (request: unknown, context: CallContext) => unknown;

/** Makes the context of a call as nice-grpc would. @param sendHeader sends the response's headers */
export function callContextOf(call: HttpCall, sendHeader: (header: Metadata) => void): CallContext {
  const header = Metadata();
  return {
    metadata: call.metadata,
    peer: call.peer,
    header,
    trailer: Metadata(),
    signal: call.signal,
    sendHeader: () => sendHeader(header),
  };
}

/**
 * Makes the library's implementation of a method out of nice-grpc's.
 *
 * @param maxRequestBytes for what to tell the client
 */
export function toConnectMethod(
  method: DescMethod,
  implementation: Implementation,
  maxRequestBytes: number,
): unknown {
  if (method.methodKind === "unary") {
    return async (request: Message, context: HandlerContext) => {
      const { call, json, callContext } = begin(context);
      try {
        if (json) unwrapOpaque(request);
        const response = await unlessAborted(call.signal, implementation(request, callContext));
        return toMessage(method.output, response as Uint8Array, json);
      } catch (error) {
        throw endOf(error, call, callContext);
      }
    };
  }
  return async function* (input: Message | AsyncIterable<Message>, context: HandlerContext) {
    const { call, json, callContext } = begin(context);
    call.outlastDeadline();
    const request =
      Symbol.asyncIterator in input
        ? received(input, json, (error) => {
            const refusal = refusalOf(error, maxRequestBytes);
            if (refusal !== undefined) call.end(toStatus(refusal, () => {}));
            return refusal;
          })
        : json
          ? unwrapOpaque(input)
          : input;
    try {
      const responses = implementation(request, callContext) as AsyncIterable<Uint8Array>;
      for await (const response of responses) yield toMessage(method.output, response, json);
      if (call.endStatus !== undefined) throw connectErrorOf(call.endStatus);
    } catch (error) {
      throw endOf(error, call, callContext);
    }
  };
}

function begin(context: HandlerContext) {
  const call = context.values.get(httpCallKey) as HttpCall;
  const json = context.responseHeader.get("content-type")?.includes("json") ?? false;
  // The client's own deadline; what else aborts the library's signal, aborts the call's.
  context.signal.addEventListener("abort", () => {
    const { reason } = context.signal;
    if (reason instanceof ConnectError && reason.code === Code.DeadlineExceeded) call.end(deadlineExceeded);
  });
  const callContext = callContextOf(call, (header) => {
    for (const [key, values] of header) context.responseHeader.set(key, values.join(", "));
    call.response.writeHead(200, Object.fromEntries(context.responseHeader));
    call.response.flushHeaders();
  });
  return { call, json, callContext };
}

/** Hands requests on, and says in the words of the contract why the library takes no more. */
async function* received(
  requests: AsyncIterable<Message>,
  json: boolean,
  refuse: (error: unknown) => ChatError | undefined,
): AsyncGenerator<Message> {
  try {
    for await (const request of requests) yield json ? unwrapOpaque(request) : request;
  } catch (error) {
    throw refuse(error) ?? new DOMException("the call was cancelled", "AbortError");
  }
}

/** Turns what a handler threw into what its call ends with: what ended it from outside says more than that. */
export function endOf(error: unknown, call: HttpCall, { trailer }: CallContext): ConnectError {
  if (call.endStatus !== undefined) return connectErrorOf(call.endStatus);
  return error instanceof ConnectError ? error : toConnectError(error, trailer);
}

/** Resolves as the work does, unless the call ends before. */
export function unlessAborted(signal: AbortSignal, work: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    Promise.resolve(work).then(resolve, reject);
  });
}
