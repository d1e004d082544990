import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { v7 as uuidv7 } from "uuid";
import type {
  SendDirectRequestSchema,
  SendGroupRequestSchema,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { ContentSchema, type SendOptionsSchema } from "../../gen/parlance/chat/v1/content_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import type { SendResult } from "../../gen/parlance/chat/v1/message_pb.js";
import { ErrorReason, isTransient, ParlanceError, Status } from "./errors.ts";
import { Backoff } from "./reconnect.ts";
import { sleep } from "./time.ts";

/** What a message says: a text, or any `Content`. */
export type ContentInit = string | MessageInitShape<typeof ContentSchema>;

/** What a sender may say about a message beside its content, and about the send. */
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

/** What sends need of the client. */
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
  | { case: "sendDirect"; value: MessageInitShape<typeof SendDirectRequestSchema> }
  | { case: "sendGroup"; value: MessageInitShape<typeof SendGroupRequestSchema> };
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
   * @throws ParlanceError when it is refused, or when there was no answer
   *   before the deadline: then it may or may not have been sent
   */
  async send(target: Target, content: ContentInit, init: SendInit = {}): Promise<SendResult> {
    const { clientMessageId = uuidv7(), deadlineMs = this.#options.deadlineMs, ...options } = init;
    const message =
      typeof content === "string" ? { kind: { case: "text" as const, value: { body: content } } } : content;
    this.#checkSize(message);
    const common = {
      content: message,
      clientMessageId,
      options,
    };
    const request: SendRequest =
      "recipientId" in target
        ? { case: "sendDirect", value: { recipientId: target.recipientId, ...common } }
        : { case: "sendGroup", value: { groupId: target.groupId, ...common } };

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

  /** Refuses here what is too large: a request beyond the server's bounds would end the stream, time and again. */
  #checkSize(content: MessageInitShape<typeof ContentSchema>): void {
    const size = toBinary(ContentSchema, create(ContentSchema, content)).length;
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
