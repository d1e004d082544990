import { type StreamRequest, StreamRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { encodeSent } from "../../wire/fast/sent.ts";
import type { WireWriter } from "../../wire/writer.ts";
import { waitingFailPoint } from "../fail-points.ts";
import { type EventInit, encodeEvent } from "../live/frames.ts";
import type { Session } from "../live/session.ts";
import type { Caller } from "../model/caller.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { CallHandle, Receiver } from "../net/call-handles.ts";
import { toStatus } from "../net/errors.ts";
import { checkRequest } from "./calls.ts";
import type { ServiceParts } from "./service-parts.ts";

/** A session whose stream has requests to come. */
export interface Receiving {
  session: Session;
  /** The request that opened the session, if it asks for something more. */
  request: StreamRequest | undefined;
  /** Where requests come from, and how many were taken from there. */
  iterator: AsyncIterator<StreamRequest>;
  taken: number;
  /** The call, where it is of gRPC. */
  handle: CallHandle | undefined;
  caller: Caller;
  parts: ServiceParts;
  /** Writes replies. */
  writer: WireWriter;
}

/**
 * Takes in the requests of a stream until the client ends them or the session
 * ends. Requests are begun in their order and answered as they are done; when
 * too many wait for an answer, or answers for the reader, none is taken in.
 */
export function receiveRequests(receiving: Receiving): void {
  const { session, request, handle } = receiving;
  if (request !== undefined) begin(request, receiving);
  const intake = new Intake(receiving);
  const handedOn = handle?.receive?.(intake);
  const isPast = handedOn !== undefined;
  takeIn(receiving, isPast ? handedOn - receiving.taken : Number.POSITIVE_INFINITY).then(
    (ended) => {
      if (isPast && !ended) intake.start();
      else session.finish();
    },
    // The call was cancelled, or its connection broke: nobody is left to be told.
    () => session.outbox.discard(),
  );
}

/** Takes in so many requests from the iterator. Resolves with whether that was the end. */
async function takeIn(receiving: Receiving, count: number): Promise<boolean> {
  const { session, iterator } = receiving;
  for (let i = 0; i < count; i++) {
    while (!hasRoom(receiving)) await session.answered();
    const result = await iterator.next();
    if (result.done || !session.takesRequests) return true;
    begin(result.value, receiving);
  }
  return false;
}

function hasRoom({ session, parts }: Receiving): boolean {
  return session.inFlight + session.outbox.replies < parts.chat.limits.maxInFlight;
}

/** Takes in what comes past the handler: without the promises that iterating costs. */
class Intake implements Receiver {
  readonly #receiving: Receiving;
  /** The requests that came before there was room for them: no more than were asked for. */
  readonly #waiting: StreamRequest[] = [];
  #ended = false;
  /** Begins requests at the moment, or may not yet. */
  #busy = true;

  constructor(receiving: Receiving) {
    this.#receiving = receiving;
  }

  start(): void {
    this.#busy = false;
    this.#run();
  }

  onRequest(request: unknown): void {
    this.#waiting.push(request as StreamRequest);
    this.#run();
  }

  onEnd(): void {
    this.#ended = true;
    this.#run();
  }

  #run(): void {
    if (this.#busy) return;
    this.#busy = true;
    const { session, handle } = this.#receiving;
    for (;;) {
      if (!hasRoom(this.#receiving)) {
        void session.answered().then(() => this.start());
        return;
      }
      if (this.#waiting.length === 0) {
        if (this.#ended) break;
        handle?.readNext?.();
        if (this.#waiting.length === 0 && !this.#ended) {
          this.#busy = false;
          return;
        }
        continue;
      }
      if (!session.takesRequests) break;
      begin(this.#waiting.shift() as StreamRequest, this.#receiving);
    }
    session.finish();
  }
}

/** Begins to carry a request out, without waiting for it. */
function begin(request: StreamRequest, receiving: Receiving): void {
  const { session, parts } = receiving;
  session.began();
  carryOut(request, receiving).then(
    (reply) => {
      if (reply !== undefined) session.reply(reply);
      session.settled();
    },
    (error) => {
      session.reply(encodeRefusal(error, request.requestId, parts));
      const pauseMs = pauseAfter(error);
      if (pauseMs === 0) session.settled();
      else setTimeout(() => session.settled(), pauseMs).unref();
    },
  );
}

/** The longest that a request sent too early keeps its place among those that wait for an answer. */
const maxPauseMs = 1_000;

/** How long a request keeps its place after it was refused: otherwise nothing would slow down who sends on and on. */
function pauseAfter(error: unknown): number {
  if (!(error instanceof ChatError) || error.reason !== ErrorReason.RATE_LIMITED) return 0;
  return Math.min(error.details.retryAfterMs ?? 0, maxPauseMs);
}

/** Carries a request out and returns the encoded reply, if it has one. */
async function carryOut(message: StreamRequest, receiving: Receiving): Promise<Uint8Array | undefined> {
  const { caller, parts, writer } = receiving;
  const { sends, validator, takeRequest } = parts;
  const held = waitingFailPoint("handler");
  if (held !== undefined) await held;
  // What is no request at all has none of its kinds.
  takeRequest(caller.userId, message.request as StreamRequest["request"] | undefined);
  checkRequest(validator, StreamRequestSchema, message);
  const { request, requestId } = message;
  if (request.case === "sendDirect")
    return encodeSent(await sends.sendDirect(request.value, caller), requestId, writer);
  if (request.case === "sendGroup")
    return encodeSent(await sends.sendGroup(request.value, caller), requestId, writer);
  const reply = await carryOutOther(message, receiving);
  return reply && encodeEvent(reply, requestId);
}

async function carryOutOther(
  { request, requestId }: StreamRequest,
  { session, caller, parts: { chat } }: Receiving,
): Promise<EventInit | undefined> {
  const done: EventInit | undefined = requestId === "" ? undefined : { case: "done", value: {} };
  switch (request.case) {
    case "ack":
      await chat.ack(request.value.cursor as NonNullable<typeof request.value.cursor>, caller);
      return done;
    case "markRead": {
      const { conversation } = await chat.conversations.markRead(request.value, caller);
      return requestId === "" ? undefined : { case: "conversation", value: conversation };
    }
    case "setTyping":
      await chat.setTyping(request.value, caller);
      return done;
    case "watchPresence":
      await chat.presences.watch(session, request.value);
      return done;
    case "ping":
      return chat.pong();
    default:
      throw new ChatError(
        ErrorReason.STREAM_ALREADY_OPEN,
        "the stream is open; `open` is only taken as its first request",
      );
  }
}

/** Encodes "no" to one request. */
export function encodeRefusal(
  error: unknown,
  requestId: string,
  { log }: Pick<ServiceParts, "log">,
): Uint8Array {
  const status = toStatus(error, (errorId, err) => log.error({ errorId, err }, "request of a stream"));
  return encodeEvent({ case: "refusal", value: { status } }, requestId);
}
