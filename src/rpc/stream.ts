import type { CallContext } from "nice-grpc";
import {
  ChatService,
  type ListenRequest,
  ListenRequestSchema,
  type StreamRequest,
  StreamRequestSchema,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { Open } from "../../gen/parlance/chat/v1/event_pb.js";
import type { Caller } from "../chat/caller.ts";
import { type Session, stuckAfterMs } from "../chat/session.ts";
import { WireWriter } from "../chat/wire-writer.ts";
import { ChatError, ErrorReason } from "../errors.ts";
import { authenticate } from "./authentication.ts";
import { type CallHandle, callIdKey } from "./call-handles.ts";
import { Call, checkRequest, pathOf } from "./calls.ts";
import { statusOf, toStatus } from "./errors.ts";
import { encodeRefusal, receiveRequests } from "./receive.ts";
import type { ServiceParts } from "./services.ts";

/** Makes the handler of `Stream`: requests go up, events come down. */
export function streamCall(parts: ServiceParts) {
  const path = pathOf(ChatService.method.stream);
  const writer = new WireWriter();
  return (requests: AsyncIterable<StreamRequest>, context: CallContext) =>
    sessionCall(path, context, parts, async function* (call, caller) {
      const iterator = requests[Symbol.asyncIterator]();
      const first = yield* openByRequest(iterator, caller, context, parts);
      if (first === undefined) return;
      call.facts = { stream: first.session.sessionId };
      receiveRequests({ ...first, iterator, caller, parts, writer });
      yield* deliver(first.session, context, parts, first.refused);
    });
}

/** Makes the handler of `Listen`: a session without requests. */
export function listenCall(parts: ServiceParts) {
  const path = pathOf(ChatService.method.listen);
  return (request: ListenRequest, context: CallContext) =>
    sessionCall(path, context, parts, async function* (call, caller) {
      checkRequest(parts.validator, ListenRequestSchema, request);
      const session = await openSession(request.open, "", caller, context, parts);
      call.facts = { stream: session.sessionId };
      yield* deliver(session, context, parts, false);
    });
}

/** Does what both kinds of sessions need around them: headers, authentication, errors and the log. */
async function* sessionCall(
  path: string,
  context: CallContext,
  { chat, log }: ServiceParts,
  run: (call: Call, caller: Caller) => AsyncGenerator<Uint8Array, void>,
): AsyncGenerator<Uint8Array, void> {
  const call = new Call(path, context, log);
  try {
    const caller = await authenticate(context.metadata, chat.logins);
    call.caller = caller;
    // At once, so that a silent stream is seen to be alive; without any header nice-grpc would not send them.
    context.header.set("parlance-epoch", chat.epoch);
    context.sendHeader();
    yield* run(call, caller);
    // A cancelled call looks half-closed first.
    await new Promise(setImmediate);
    context.signal.throwIfAborted();
    call.succeed();
  } catch (error) {
    throw call.fail(error);
  }
}

/**
 * Hands out what the session has, to its end.
 *
 * @param mixed whether the handler itself has sent something, which may still wait to leave
 */
async function* deliver(
  session: Session,
  context: CallContext,
  parts: ServiceParts,
  mixed: boolean,
): AsyncGenerator<Uint8Array, void> {
  try {
    const handle = handleOf(context, parts);
    if (handle?.send === undefined || mixed) yield* session.outbox;
    else await session.outbox.pipe((chunk, taken) => handle.send?.(chunk, taken));
  } catch (error) {
    // The status waits behind what the reader has not read: from one that does not read, the call is taken away.
    setTimeout(() => endCall(context, error, parts), stuckAfterMs).unref();
    throw error;
  } finally {
    parts.chat.closeSession(session);
  }
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
  const session = await chat.openSession(caller, open, requestId, kill, context.signal);
  // A blocked generator is not resumed when its call is cancelled, so a `finally` would come too late.
  context.signal.addEventListener("abort", () => chat.closeSession(session));
  if (context.signal.aborted) chat.closeSession(session);
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
  /** Whether requests before it were refused. */
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
    for (;;) {
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
        return { session, request: opens ? undefined : request, refused };
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
