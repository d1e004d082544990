import type { MessageInitShape } from "@bufbuild/protobuf";
import { v7 as uuidv7 } from "uuid";
import {
  type SendDirectRequest,
  SendDirectRequestSchema,
  type SendGroupRequest,
  SendGroupRequestSchema,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import {
  type Content,
  ContentSchema,
  type SendOptionsSchema,
} from "../../gen/parlance/chat/v1/content_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import type { SendResult } from "../../gen/parlance/chat/v1/message_pb.js";
import { checked, encodeRequest, numberOf, requestOf } from "./arguments.ts";
import { ErrorReason, isTransient, ParlanceError, Status } from "./errors.ts";
import { Backoff } from "./reconnect.ts";
import { sleep } from "./time.ts";

/** The content of a message: a text, or any `Content`. */
export type ContentInit = string | MessageInitShape<typeof ContentSchema>;

/** Options of a message beside its content, and of the send. */
export interface SendInit extends Omit<MessageInitShape<typeof SendOptionsSchema>, "$typeName"> {
  /**
   * The sender's own id for the message, for programs that repeat sends after
   * a restart. By default a new UUIDv7.
   */
  clientMessageId?: string;
  /** How long to try, in milliseconds. By default what `connect` was told. */
  deadlineMs?: number;
}

/** Where a message goes. */
export type Target = { recipientId: string } | { groupId: string };

/** The parts of the client that sends need. */
export interface SendsOptions {
  /** Makes a send over the stream; see `Requests.ask`. */
  ask?: (request: SendRequest, deadline: number) => Promise<ServerEvent | undefined>;
  /** Whether a stream that takes sends is open or about to be. */
  streaming: () => boolean;
  sendDirect: UnarySend<typeof SendDirectRequestSchema>;
  sendGroup: UnarySend<typeof SendGroupRequestSchema>;
  deadlineMs: number;
  /** The largest encoded content the server takes, in bytes. */
  maxContentBytes: () => number;
  closed: AbortSignal;
}

type SendRequest =
  | { case: "sendDirect"; value: SendDirectRequest }
  | { case: "sendGroup"; value: SendGroupRequest };
type UnarySend<Request extends typeof SendDirectRequestSchema | typeof SendGroupRequestSchema> = (
  request: MessageInitShape<Request>,
  options: { deadlineMs: number },
) => Promise<{ result?: SendResult | undefined }>;

/**
 * Sends messages, each with one effect however often it has to be tried: over
 * the stream while there is one, else as unary calls.
 */
export class Sends {
  readonly #options: SendsOptions;

  constructor(options: SendsOptions) {
    this.#options = options;
  }

  /**
   * Sends a message and resolves once it is on stable storage.
   *
   * @throws ParlanceError when it is refused, here already where an argument is not what it must be; or when there
   *   was no answer before the deadline: then it may or may not have been sent
   */
  async send(target: Target, content: ContentInit, init?: SendInit): Promise<SendResult> {
    const { request, deadlineMs } = checked("options", () => this.#prepare(target, content, init));
    const deadline = performance.now() + deadlineMs;
    let backoff: Backoff | undefined;
    while (true) {
      if (this.#options.closed.aborted) throw new ParlanceError(Status.CANCELLED, "the client was closed");
      try {
        const result = this.#options.streaming() ? await this.#overStream(request, deadline) : undefined;
        if (result !== undefined) return result;
        const remainingMs = deadline - performance.now();
        if (remainingMs > 0) return await this.#unary(request, remainingMs);
      } catch (error) {
        if (!(error instanceof ParlanceError) || !isTransient(error) || this.#options.closed.aborted)
          throw error;
        backoff ??= new Backoff();
        const waitMs = backoff.next(error.retryAfterMs);
        if (performance.now() + waitMs >= deadline) throw error;
        await sleep(waitMs, this.#options.closed);
        continue;
      }
      throw new ParlanceError(
        Status.DEADLINE_EXCEEDED,
        `no answer within ${deadlineMs} ms; the message may have been sent`,
      );
    }
  }

  /** Makes the request, whose mistakes concern nobody else yet. */
  #prepare(
    target: Target,
    content: ContentInit,
    init: SendInit | undefined,
  ): { request: SendRequest; deadlineMs: number } {
    const { clientMessageId, deadlineMs = this.#options.deadlineMs, ...options } = init ?? {};
    const text = typeof content === "string";
    const message = text ? { kind: { case: "text" as const, value: { body: content } } } : content;
    const common = { content: message, clientMessageId: clientMessageId || uuidv7(), options };
    const request: SendRequest =
      "recipientId" in target
        ? { case: "sendDirect", value: requestOf(SendDirectRequestSchema, { ...target, ...common }) }
        : { case: "sendGroup", value: requestOf(SendGroupRequestSchema, { ...target, ...common }) };
    if (request.value.content !== undefined) this.#checkSize(request.value.content);
    return { request, deadlineMs: numberOf("deadlineMs", deadlineMs) };
  }

  /** Refuses here what is too large: a request beyond the server's bounds would end the stream, time and again. */
  #checkSize(content: Content): void {
    const size = encodeRequest(ContentSchema, content).length;
    const max = this.#options.maxContentBytes();
    if (size <= max) return;
    throw new ParlanceError(
      Status.INVALID_ARGUMENT,
      `content is ${size} bytes when encoded, more than the ${max} allowed`,
      { reason: ErrorReason.CONTENT_TOO_LARGE },
    );
  }

  async #overStream(request: SendRequest, deadline: number): Promise<SendResult | undefined> {
    const event = await this.#options.ask?.(request, deadline);
    if (event === undefined || event.event.case === "sent")
      return event?.event.value as SendResult | undefined;
    throw new ParlanceError(Status.INTERNAL, `the server answered a send with ${event.event.case}`);
  }

  async #unary(request: SendRequest, deadlineMs: number): Promise<SendResult> {
    const { result } =
      request.case === "sendDirect"
        ? await this.#options.sendDirect(request.value, { deadlineMs })
        : await this.#options.sendGroup(request.value, { deadlineMs });
    if (result === undefined)
      throw new ParlanceError(Status.INTERNAL, "the server answered a send without a result");
    return result;
  }
}
