import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { type CallOptions, ClientError, type ClientMiddleware, Metadata } from "nice-grpc";
import { chatServices } from "../../wire/services.ts";
import { checked, numberOf, requestOf } from "./arguments.ts";
import { errorOfCall, hadNoEffect, isOfServer, isTransient, ParlanceError, Status } from "./errors.ts";
import { callHost, hostFailed } from "./host-calls.ts";
import type { Line } from "./line.ts";
import type { Login } from "./login.ts";
import { Backoff } from "./reconnect.ts";
import { sleep } from "./time.ts";

/** The methods of the contract by their paths. */
const methods = new Map<string, DescMethod>(
  chatServices.flatMap((service) =>
    service.methods.map((method) => [`/${service.typeName}/${method.name}`, method] as const),
  ),
);

/** The parts that unary calls need. */
export interface CallSettings {
  line: Line;
  /** Not set: calls go without a token, as `Login` does. */
  login?: Login;
  /** How long a call and its repeats may take. */
  deadlineMs: number;
  /** How long one try may take. */
  attemptMs: number;
  /** Aborted when the client closes. */
  closed: AbortSignal;
}

/** The options a caller may add to a call's. */
export interface CallExtras {
  /** How long the call and its repeats may take; by default what `connect` was told. */
  deadlineMs?: number;
}

/**
 * Gives calls a token, repeats those that failed and may be repeated, and turns
 * what they fail with into a `ParlanceError`.
 *
 * Any call is repeated when the server certainly did nothing, and once after a
 * new login when the token was refused. When the outcome is unknown only calls
 * are repeated that have no second effect: those whose `idempotency_level` says
 * so, and sends with a `client_message_id`.
 */
export function callMiddleware(settings: CallSettings): ClientMiddleware<CallExtras> {
  return async function* middleware(call, options) {
    if (call.requestStream || call.responseStream) {
      throw new ParlanceError(
        Status.UNIMPLEMENTED,
        "streams are opened by the client itself: use client.events()",
      );
    }
    const { deadlineMs, metadata } = checked("options", () => ({
      deadlineMs: numberOf("deadlineMs", options.deadlineMs ?? settings.deadlineMs),
      metadata: Metadata(options.metadata),
    }));
    const method = methods.get(call.method.path);
    const request =
      method === undefined ? call.request : requestOf(method.input, call.request as Record<string, unknown>);
    const deadline = performance.now() + deadlineMs;
    const backoff = new Backoff();
    const repeatable = mayRepeat(method, request);
    let loggedInAgain = false;
    /** The error of the try before, which says more than that there was no time left for the last. */
    let earlier: ParlanceError | undefined;
    while (true) {
      const connection = settings.line.connection;
      let token: string | undefined;
      try {
        token = await settings.login?.token();
        const attempt = startAttempt(settings, { ...options, metadata }, deadline, token);
        try {
          const response = yield* call.next(request as typeof call.request, attempt.options);
          attempt.check();
          return response;
        } catch (error) {
          throw attempt.explain(error);
        } finally {
          attempt.end();
        }
      } catch (error) {
        if (!(error instanceof ParlanceError)) throw error;
        const leave = isOfServer(error);
        if (leave) settings.line.renew(connection);
        if (options.signal?.aborted || settings.closed.aborted) throw error;
        if (error.code === Status.UNAUTHENTICATED && token !== undefined && !loggedInAgain) {
          loggedInAgain = true;
          settings.login?.refuse(token);
          continue;
        }
        if (!(repeatable ? isTransient(error) : hadNoEffect(error))) throw error;
        // How long a server asks to stay away concerns no other.
        const waitMs = backoff.next(leave && settings.line.hasOthers ? 0 : error.retryAfterMs);
        if (performance.now() + waitMs >= deadline)
          throw repeatable && error.code === Status.DEADLINE_EXCEEDED ? (earlier ?? error) : error;
        earlier = error;
        await sleep(waitMs, settings.closed);
      }
    }
  };
}

/** Makes calls fail with a `ParlanceError` too when their options cannot be read, which is done before any middleware. */
export function withReadOptions(client: object): object {
  const calls = Object.entries(client).map(([name, call]) => [
    name,
    async (request: unknown, options?: object) =>
      call(
        request,
        checked("options", () => ({ ...options })),
      ),
  ]);
  return Object.fromEntries(calls);
}

interface Attempt {
  options: CallOptions;
  /** @throws ParlanceError when a function given with the call failed */
  check(): void;
  /** Turns what the attempt failed with into the error to go on with. */
  explain(error: unknown): unknown;
  end(): void;
}

function startAttempt(
  settings: CallSettings,
  options: CallOptions,
  /** On the monotonic clock. */
  deadline: number,
  token: string | undefined,
): Attempt {
  const metadata = Metadata(options.metadata);
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  const timeout = new AbortController();
  const ms = Math.max(1, Math.min(settings.attemptMs, deadline - performance.now()));
  const timer = setTimeout(() => timeout.abort(), ms);
  const signals = [timeout.signal, settings.closed];
  if (options.signal) signals.push(options.signal);
  let detailsBin: Uint8Array | undefined;
  let hostError: ParlanceError | undefined;
  /** Calls what was given with the call. Thrown where the transport calls it, an error would end the process. */
  const tell = (name: "onHeader" | "onTrailer", metadata: Metadata) =>
    callHost(
      () => options[name]?.(metadata),
      (cause) => {
        hostError = hostFailed(name, cause);
        timeout.abort();
      },
    );

  return {
    options: {
      ...options,
      metadata,
      signal: AbortSignal.any(signals),
      onHeader: (header) => tell("onHeader", header),
      onTrailer(trailer) {
        detailsBin = trailer.get("grpc-status-details-bin");
        tell("onTrailer", trailer);
      },
    },
    check() {
      if (hostError !== undefined) throw hostError;
    },
    explain(error) {
      if (hostError !== undefined) return hostError;
      if (error instanceof ClientError)
        return errorOfCall(error.code as number, error.details, detailsBin, error);
      if (options.signal?.aborted) return error;
      if (settings.closed.aborted) return new ParlanceError(Status.CANCELLED, "the client was closed");
      if (timeout.signal.aborted) {
        return new ParlanceError(
          Status.DEADLINE_EXCEEDED,
          `no answer from ${settings.line.address} within ${ms} ms`,
        );
      }
      return error;
    },
    end() {
      clearTimeout(timer);
    },
  };
}

/** Whether a call may be made again when it is not known whether it took effect: the contract says which have no second one. */
function mayRepeat(method: DescMethod | undefined, request: unknown): boolean {
  switch (method?.idempotency) {
    case MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS:
    case MethodOptions_IdempotencyLevel.IDEMPOTENT:
      return true;
    default:
      return Boolean((request as { clientMessageId?: string }).clientMessageId);
  }
}
