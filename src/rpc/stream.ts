import type { DescMethod } from "@bufbuild/protobuf";
import type { CallContext } from "nice-grpc";
import {
  ChatService,
  type ListenRequest,
  ListenRequestSchema,
  type StreamRequest,
  StreamRequestSchema,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { Open } from "../../gen/parlance/chat/v1/event_pb.js";
import { WireWriter } from "../../wire/writer.ts";
import { type Session, stuckAfterMs } from "../live/session.ts";
import type { Caller } from "../model/caller.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import { type CallHandle, callIdKey } from "../net/call-handles.ts";
import { statusOf, toStatus } from "../net/errors.ts";
import { authenticate } from "./authentication.ts";
import { Call, checkRequest, pathOf } from "./calls.ts";
import { encodeRefusal, receiveRequests } from "./receive.ts";
import { type TakeRate, takeRateOfMethod } from "./rpc-rates.ts";
import type { ServiceParts } from "./service-parts.ts";

/** A session that was opened, and what has to be known to hand out what it has. */
interface Opened {
  session: Session;
  /** Whether the handler itself has sent something, which may still wait to leave. */
  mixed: boolean;
}

/** Opens the session of a call. Yields what has to be said before; returns undefined when the client ends it before. */
type OpenCall = (caller: Caller) => AsyncGenerator<Uint8Array, Opened | undefined>;

/** Makes the handler of `Stream`: requests go up, events come down. */
export function streamCall(parts: ServiceParts) {
  const kind = sessionKind(ChatService.method.stream, parts);
  const writer = new WireWriter();
  return (requests: AsyncIterable<StreamRequest>, context: CallContext) =>
    sessionCall(kind, context, parts, (caller) => openStream(requests, caller, context, parts, writer));
}

/** Makes the handler of `Listen`: a session without requests. */
export function listenCall(parts: ServiceParts) {
  const kind = sessionKind(ChatService.method.listen, parts);
  return (request: ListenRequest, context: CallContext) =>
    sessionCall(kind, context, parts, (caller) => openListen(request, caller, context, parts));
}

/** A method that opens sessions. */
interface SessionKind {
  path: string;
  takeRate: TakeRate;
}

function sessionKind(method: DescMethod, { chat }: ServiceParts): SessionKind {
  return { path: pathOf(method), takeRate: takeRateOfMethod(method, chat.rates) };
}

/**
 * Runs a session to its end, with what both kinds of them need around them:
 * headers, authentication, errors and the log.
 */
async function* sessionCall(
  { path, takeRate }: SessionKind,
  context: CallContext,
  parts: ServiceParts,
  open: OpenCall,
): AsyncGenerator<Uint8Array, void> {
  const { chat, log } = parts;
  const call = new Call(path, context, log);
  try {
    const caller = await authenticate(context.metadata, chat.logins);
    call.caller = caller;
    takeRate(caller.userId, undefined);
    // At once, so that a silent stream is seen to be alive; without any header nice-grpc would not send them.
    context.header.set("parlance-epoch", chat.epoch);
    context.sendHeader();
    const opened = yield* open(caller);
    if (opened !== undefined) {
      const { session, mixed } = opened;
      call.facts = { stream: session.sessionId };
      const handle = handleOf(context, parts);
      try {
        if (handle?.send === undefined || mixed) yield* session.outbox;
        else await session.outbox.pipe((chunk, taken) => handle.send?.(chunk, taken));
      } catch (error) {
        // The status waits behind what the reader has not read: from one that does not read, the call is taken away.
        setTimeout(() => endCall(context, error, parts), stuckAfterMs).unref();
        throw error;
      } finally {
        chat.sessions.close(session);
      }
    }
    // A cancelled call looks half-closed first.
    await new Promise(setImmediate);
    context.signal.throwIfAborted();
    call.succeed();
  } catch (error) {
    throw call.fail(error);
  }
}

/** Opens the session of a `Stream` by its first request, and has it take in the others. */
async function* openStream(
  requests: AsyncIterable<StreamRequest>,
  caller: Caller,
  context: CallContext,
  parts: ServiceParts,
  writer: WireWriter,
): AsyncGenerator<Uint8Array, Opened | undefined> {
  const iterator = requests[Symbol.asyncIterator]();
  const opening = yield* openByRequest(iterator, caller, context, parts);
  if (opening === undefined) return undefined;
  receiveRequests({ ...opening, iterator, handle: handleOf(context, parts), caller, parts, writer });
  return { session: opening.session, mixed: opening.refused };
}

// biome-ignore lint/correctness/useYield: it has nothing to say before
async function* openListen(
  request: ListenRequest,
  caller: Caller,
  context: CallContext,
  parts: ServiceParts,
): AsyncGenerator<never, Opened> {
  checkRequest(parts.validator, ListenRequestSchema, request);
  return { session: await openSession(request.open, "", caller, context, parts), mixed: false };
}

async function openSession(
  open: Open | undefined,
  requestId: string,
  caller: Caller,
  context: CallContext,
  parts: ServiceParts,
): Promise<Session> {
  const { chat } = parts;
  const kill = (error: ChatError) => endCall(context, error, parts);
  const session = await chat.sessions.open(caller, open, requestId, kill, context.signal);
  // A blocked generator is not resumed when its call is cancelled, so a `finally` would come too late.
  context.signal.addEventListener("abort", () => chat.sessions.close(session));
  if (context.signal.aborted) chat.sessions.close(session);
  return session;
}

/** Ends a call from outside its handler, if it is still open. */
function endCall(context: CallContext, error: unknown, parts: ServiceParts): void {
  const status = toStatus(error, (errorId, err) => parts.log.error({ errorId, err }, "session ended"));
  handleOf(context, parts)?.end(status);
}

function handleOf({ metadata }: CallContext, { handles }: ServiceParts): CallHandle | undefined {
  return handles?.get(String(metadata.get(callIdKey)));
}

/** The session, and the request that opened it if it asks for something more. */
interface Opening {
  session: Session;
  request: StreamRequest | undefined;
  /** How many requests came until the session was open. */
  taken: number;
  /** Whether requests before the last were refused. */
  refused: boolean;
}

/**
 * Waits for the first request that opens a session; one that is refused does
 * not, and the client may try again. Yields the refusals.
 *
 * @returns undefined when the client ends the stream before
 * @throws ChatError STREAM_NOT_OPENED, and what no other request would mend
 */
async function* openByRequest(
  iterator: AsyncIterator<StreamRequest>,
  caller: Caller,
  context: CallContext,
  parts: ServiceParts,
): AsyncGenerator<Uint8Array, Opening | undefined> {
  const timeoutMs = parts.chat.limits.firstRequestTimeoutMs;
  const timeout = startTimeout(timeoutMs);
  let refused = false;
  try {
    for (let taken = 1; ; taken++) {
      const result = await Promise.race([iterator.next(), timeout.expired]);
      if (result === "expired") {
        throw new ChatError(
          ErrorReason.STREAM_NOT_OPENED,
          `no request that opens the session came within ${timeoutMs / 1000} seconds; begin with {"open":{}}`,
        );
      }
      if (result.done) return undefined;
      const request = result.value;
      try {
        checkRequest(parts.validator, StreamRequestSchema, request);
        const opens = request.request.case === "open";
        const open = request.request.case === "open" ? request.request.value : undefined;
        const session = await openSession(open, opens ? request.requestId : "", caller, context, parts);
        return { session, request: opens ? undefined : request, taken, refused };
      } catch (error) {
        if (!isRefusal(error)) throw error;
        refused = true;
        yield encodeRefusal(error, request.requestId, parts);
      }
    }
  } finally {
    timeout.clear();
  }
}

/** Whether another request of the same stream may fare better. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof ChatError)) return false;
  const code = statusOf[error.reason];
  return (
    code === statusOf[ErrorReason.INVALID_REQUEST] || code === statusOf[ErrorReason.CURSOR_OF_ANOTHER_EPOCH]
  );
}

function startTimeout(ms: number): { expired: Promise<"expired">; clear: () => void } {
  let timer: NodeJS.Timeout;
  const expired = new Promise<"expired">((resolve) => {
    timer = setTimeout(() => resolve("expired"), ms);
  });
  return { expired, clear: () => clearTimeout(timer) };
}
