import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { CallContext, Metadata } from "nice-grpc";
import { Undecodable } from "../../wire/definition.ts";
import type { Logins } from "../chat/logins.ts";
import type { RateLimits, UserRate } from "../chat/rate-limits.ts";
import { waitingFailPoint } from "../fail-points.ts";
import type { Caller } from "../model/caller.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { Handler } from "../model/handlers.ts";
import type { Logger } from "../model/logger.ts";
import { codeName, toServerError } from "../net/errors.ts";
import { authenticate } from "./authentication.ts";
import { takeRateOfMethod } from "./rpc-rates.ts";
import type { RequestValidator } from "./validation.ts";
import { Overlong } from "./wire-lengths.ts";

/** The parts that every call uses, whatever its method. */
export interface CallParts {
  logins: Pick<Logins, "resolve">;
  rates: RateLimits<UserRate>;
  validator: RequestValidator;
  log: Logger;
}

/** Collects what is known about a call, which becomes one line of the log. */
export class Call {
  readonly method: string;
  caller: Caller | undefined;
  /** Further fields for the log. */
  facts: Record<string, unknown> = {};
  readonly #context: CallContext;
  readonly #log: Logger;
  readonly #start = performance.now();

  constructor(method: string, context: CallContext, log: Logger) {
    this.method = method;
    this.#context = context;
    this.#log = log;
  }

  /** Logs that the call went well. */
  succeed(): void {
    if (this.#log.calls === "all") this.#log.info(this.#fields("OK"), "call");
  }

  /** Logs an error, whole if nobody foresaw it, and returns what its caller gets. */
  fail(error: unknown): Error {
    let unexpected: object | undefined;
    const serverError = toServerError(error, this.#context.trailer, (errorId, cause) => {
      unexpected = { errorId, err: cause };
    });
    const code = codeName(serverError.code);
    if (unexpected !== undefined) this.#log.error({ ...this.#fields(code), ...unexpected }, "call");
    else if (this.#logsFailed(code)) this.#log.info({ ...this.#fields(code), ...reasonOf(error) }, "call");
    return serverError;
  }

  #logsFailed(code: string): boolean {
    const { calls = "failed" } = this.#log;
    return calls === "all" || (calls === "failed" && code !== "CANCELLED");
  }

  #fields(code: string): object {
    return {
      method: this.method,
      code,
      ms: Math.round((performance.now() - this.#start) * 1000) / 1000,
      user: this.caller?.userId,
      session: this.caller?.sessionId,
      peer: this.#context.peer,
      ...this.facts,
    };
  }
}

/** The answer of a method: a message, or an encoded one. */
type Answer<Method extends DescMethod> = MessageInitShape<Method["output"]> | Uint8Array;

/** Wraps a handler that needs to know its caller: authentication, validation, errors and the log. */
export function unaryCall<Method extends DescMethod>(
  method: Method,
  handler: (
    ...args: [...Parameters<Handler<Method["input"], Method["output"]>>, CallContext]
  ) => Promise<Answer<Method>>,
  parts: CallParts,
) {
  const takeRate = takeRateOfMethod(method, parts.rates);
  return wrapped(method, parts, async (request, context, call) => {
    const resolved = authenticate(context.metadata, parts.logins);
    const caller = resolved instanceof Promise ? await resolved : resolved;
    call.caller = caller;
    // First, as it costs least.
    takeRate(caller.userId, request);
    checkRequest(parts.validator, method.input, request);
    return handler(request, caller, context);
  });
}

/** Wraps a handler that does not ask who calls, but at most whether they may. */
export function openCall<Method extends DescMethod>(
  method: Method,
  handler: (
    request: MessageShape<Method["input"]>,
    context: CallContext,
  ) => Promise<MessageInitShape<Method["output"]>>,
  parts: Omit<CallParts, "logins" | "rates">,
  /** Checks each call before anything else. Throws a ChatError. */
  check: (metadata: Metadata) => void = () => {},
) {
  return wrapped(method, parts, async (request, context) => {
    check(context.metadata);
    checkRequest(parts.validator, method.input, request);
    return handler(request, context);
  });
}

function wrapped<Method extends DescMethod>(
  method: Method,
  { log }: Pick<CallParts, "log">,
  run: (request: MessageShape<Method["input"]>, context: CallContext, call: Call) => Promise<Answer<Method>>,
) {
  const path = pathOf(method);
  return async (request: MessageShape<Method["input"]>, context: CallContext) => {
    const call = new Call(path, context, log);
    try {
      const held = waitingFailPoint("handler");
      if (held !== undefined) await held;
      const response = await run(request, context, call);
      call.succeed();
      return response;
    } catch (error) {
      throw call.fail(error);
    }
  };
}

/** @throws ChatError UNDECODABLE_REQUEST, INVALID_REQUEST */
export function checkRequest<Desc extends DescMessage>(
  validator: RequestValidator,
  schema: Desc,
  request: MessageShape<Desc>,
): void {
  if ((request as unknown) instanceof Overlong) {
    const { text, list } = request as unknown as Overlong;
    throw new ChatError(ErrorReason.INVALID_REQUEST, text, { violations: [list] });
  }
  if ((request as unknown) instanceof Undecodable) {
    throw new ChatError(ErrorReason.UNDECODABLE_REQUEST, (request as unknown as Undecodable).text);
  }
  validator.validate(schema, request);
}

/** The method as gRPC names it, without the first slash. */
export function pathOf(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

function reasonOf(error: unknown): object {
  if (!(error instanceof ChatError)) return {};
  return { reason: ErrorReason[error.reason], ...(error.cause !== undefined && { err: error.cause }) };
}
