import type { MessageInitShape } from "@bufbuild/protobuf";
import { StreamRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import { encodeRequest, requestOf } from "./arguments.ts";
import { ErrorReason, errorOfRpcStatus, ParlanceError, Status } from "./errors.ts";
import type { Session } from "./session.ts";

/** A request of a stream, as written by hand. */
export type RequestInit = NonNullable<MessageInitShape<typeof StreamRequestSchema>["request"]>;

interface Pending {
  /** Encoded once, so that a mistake in it never reaches a stream and it stays what it was. */
  request: Uint8Array;
  resolve: (event: ServerEvent | undefined) => void;
  reject: (error: ParlanceError) => void;
  timer: NodeJS.Timeout;
  /** When to give up at the latest, on the monotonic clock. */
  deadline: number;
  /** How many streams it was written on. */
  streams: number;
}

/** How long a request waits for an answer on a live stream. */
const answerMs = 10_000;
/** How long a request waits for a stream to be live again. */
const streamMs = 2_000;
/** A request that so many streams ended with may be what ends them. */
const maxStreams = 3;

/**
 * The requests of a stream that wait for an answer. Those that a stream left
 * unanswered are written again on the next one, in their order.
 */
export class Requests {
  readonly #maxBytes: () => number;
  readonly #pending = new Map<string, Pending>();
  #session: Session | undefined;
  #lastId = 0;

  /** @param maxBytes returns the largest request that streams take, in bytes */
  constructor(maxBytes: () => number) {
    this.#maxBytes = maxBytes;
  }

  /** The stream that requests go to, while one is live. */
  get session(): Session | undefined {
    return this.#session;
  }

  /**
   * Makes a request.
   *
   * @param deadline until when to wait at most, on the monotonic clock
   * @returns the answer, or undefined when the stream does not give one soon: it
   *   is then unknown whether the server has carried out the request
   * @throws ParlanceError when the server refuses, or INVALID_REQUEST or REQUEST_TOO_LARGE when no stream could carry it
   */
  async ask(init: RequestInit, deadline = Number.POSITIVE_INFINITY): Promise<ServerEvent | undefined> {
    const requestId = (++this.#lastId).toString(36);
    const request = this.#encode({ requestId, request: init });
    return await new Promise((resolve, reject) => {
      const live = this.#session?.usable;
      const timer = this.#arm(requestId, deadline, live ? answerMs : streamMs);
      this.#pending.set(requestId, { request, resolve, reject, timer, deadline, streams: live ? 1 : 0 });
      if (live) this.#session?.write(request);
    });
  }

  /**
   * Makes a request without an answer. Returns whether there was a stream to make it on.
   *
   * @throws ParlanceError INVALID_REQUEST, REQUEST_TOO_LARGE when no stream could carry it
   */
  tell(request: RequestInit): boolean {
    const bytes = this.#encode({ request });
    if (!this.#session?.usable) return false;
    this.#session.write(bytes);
    return true;
  }

  /** Takes an answer. */
  answer(event: ServerEvent): void {
    const pending = this.#pending.get(event.requestId);
    if (pending === undefined) return;
    this.#pending.delete(event.requestId);
    clearTimeout(pending.timer);
    const refused = event.event.case === "refusal" ? event.event.value.status : undefined;
    if (refused) pending.reject(errorOfRpcStatus(refused));
    else pending.resolve(event);
  }

  /** Goes on over a stream that has just been opened. */
  startStream(session: Session): void {
    this.#session = session;
    for (const [requestId, pending] of this.#pending) {
      this.#rearm(requestId, pending, answerMs);
      pending.streams++;
      session.write(pending.request);
    }
  }

  /** Waits for another stream. */
  endStream(): void {
    this.#session = undefined;
    for (const [requestId, pending] of this.#pending) {
      if (pending.streams >= maxStreams) this.#giveUp(requestId);
      else this.#rearm(requestId, pending, streamMs);
    }
  }

  /** Gives up every request: no answer can be expected, as the stream is not read for now. */
  abandon(): void {
    for (const requestId of [...this.#pending.keys()]) this.#giveUp(requestId);
  }

  /** Fails every request. */
  fail(error: ParlanceError): void {
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(error);
    }
    this.#pending.clear();
  }

  /** A request that is too large would end the stream, and the next one that it is written on. */
  #encode(init: MessageInitShape<typeof StreamRequestSchema>): Uint8Array {
    const bytes = encodeRequest(StreamRequestSchema, requestOf(StreamRequestSchema, init));
    const max = this.#maxBytes();
    if (bytes.length <= max) return bytes;
    throw new ParlanceError(
      Status.RESOURCE_EXHAUSTED,
      `the request is ${bytes.length} bytes when encoded, more than the ${max} allowed`,
      { reason: ErrorReason.REQUEST_TOO_LARGE },
    );
  }

  #giveUp(requestId: string): void {
    const pending = this.#pending.get(requestId);
    if (pending === undefined) return;
    this.#pending.delete(requestId);
    clearTimeout(pending.timer);
    pending.resolve(undefined);
    this.#session?.probe();
  }

  #rearm(requestId: string, pending: Pending, ms: number): void {
    clearTimeout(pending.timer);
    pending.timer = this.#arm(requestId, pending.deadline, ms);
  }

  #arm(requestId: string, deadline: number, ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#giveUp(requestId), Math.min(ms, deadline - performance.now()));
  }
}
