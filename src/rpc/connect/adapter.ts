/** Lets implementations that were written for nice-grpc answer calls of the Connect library. */

import type { DescMethod, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextKey, type HandlerContext } from "@connectrpc/connect";
import { type CallContext, Metadata } from "nice-grpc";
import { Undecodable } from "../../../wire/definition.ts";
import type { ChatError } from "../../model/errors.ts";
import { deadlineExceeded } from "../../net/deadlines.ts";
import { toStatus } from "../../net/errors.ts";
import { toMessage } from "./codec.ts";
import { connectErrorOf, refusalOf, toConnectError } from "./errors.ts";
import type { HttpCall } from "./http-call.ts";
import { fromJsonForm } from "./json.ts";
import { jsonMethodOf } from "./json-schemas.ts";

/** Where a call's handler finds the call. */
export const httpCallKey = createContextKey<HttpCall | undefined>(undefined, {
  description: "the call as HTTP brought it",
});

/** Tells whether a call's handler ended it with an error, which it has logged. */
export const failedKey = createContextKey(false, { description: "whether the handler failed" });

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
 * Makes the library's implementation of a method out of nice-grpc's. What it is
 * given and answers in JSON is of the types of `jsonMethodOf`.
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
        const input = json ? contentOf(method, request) : request;
        const response = await unlessAborted(call.signal, implementation(input, callContext));
        return toMessage(method.output, response as Uint8Array, json);
      } catch (error) {
        context.values.set(failedKey, true);
        throw endOf(error, call, callContext);
      }
    };
  }
  return async function* (input: Message | AsyncIterable<Message>, context: HandlerContext) {
    const { call, json, callContext } = begin(context);
    call.outlastDeadline();
    const request =
      Symbol.asyncIterator in input
        ? received(method, input, json, (error) => {
            const refusal = refusalOf(error, maxRequestBytes);
            if (refusal !== undefined) call.end(toStatus(refusal, () => {}));
            return refusal;
          })
        : json
          ? contentOf(method, input)
          : input;
    try {
      const responses = implementation(request, callContext) as AsyncIterable<Uint8Array>;
      for await (const response of responses) yield toMessage(method.output, response, json);
      if (call.endStatus !== undefined) throw connectErrorOf(call.endStatus);
    } catch (error) {
      context.values.set(failedKey, true);
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

/** Turns a request that was read from JSON into one of the contract, or into what is refused once the caller is known. */
export function contentOf(method: DescMethod, request: Message): Message | Undecodable {
  try {
    return fromJsonForm(jsonMethodOf(method).input, request);
  } catch (error) {
    return new Undecodable(`the request cannot be read: ${(error as Error).message}`);
  }
}

/** Hands requests on, and says in the words of the contract why the library takes no more. */
async function* received(
  method: DescMethod,
  requests: AsyncIterable<Message>,
  json: boolean,
  refuse: (error: unknown) => ChatError | undefined,
): AsyncGenerator<Message | Undecodable> {
  try {
    for await (const request of requests) yield json ? contentOf(method, request) : request;
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
