import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  SendDirectRequestSchema,
  type StreamRequest,
  StreamRequestSchema,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { messageFrame } from "./http2-connection.ts";

/** Where messages go. */
export type Target = { recipientId: string } | { groupId: string };

/** The text of every message, as long as what people write. */
export const body = "x".repeat(100);

/** A place in an encoded request that each send fills anew: as long as a UUID. */
const idPlaceholder = "00000000-0000-7000-8000-000000000000";
const requestIdPlaceholder = "--------";

/**
 * Makes frames that send messages: each is a copy of one encoded before, with
 * its own ids put in, which costs next to nothing.
 */
export class SendFrames {
  readonly #template: Buffer;
  readonly #idAt: number;
  readonly #requestIdAt: number;
  readonly #bodyAt: number;
  readonly #ids: MessageIds;

  private constructor(encoded: Uint8Array, ids: MessageIds) {
    this.#template = messageFrame(encoded);
    this.#idAt = this.#template.indexOf(idPlaceholder);
    this.#requestIdAt = this.#template.indexOf(requestIdPlaceholder);
    this.#bodyAt = this.#template.indexOf(body);
    this.#ids = ids;
  }

  /** Makes requests of a stream. */
  static forStream(target: Target, ids: MessageIds): SendFrames {
    const message = { content: contentInit, clientMessageId: idPlaceholder };
    const request: MessageInitShape<typeof StreamRequestSchema>["request"] =
      "groupId" in target
        ? { case: "sendGroup", value: { ...target, ...message } }
        : { case: "sendDirect", value: { ...target, ...message } };
    const encoded: StreamRequest = create(StreamRequestSchema, { requestId: requestIdPlaceholder, request });
    return new SendFrames(toBinary(StreamRequestSchema, encoded), ids);
  }

  /** Makes requests of the unary `SendDirect`, each the last of its stream. */
  static forUnary(recipientId: string, ids: MessageIds): SendFrames {
    const request = create(SendDirectRequestSchema, {
      recipientId,
      content: contentInit,
      clientMessageId: idPlaceholder,
    });
    const frames = new SendFrames(toBinary(SendDirectRequestSchema, request), ids);
    frames.#template[4] = 1;
    return frames;
  }

  /**
   * Makes the next one.
   *
   * @param mark what the text begins with, if the message is to be found again
   */
  next(mark?: string): Buffer {
    const frame = Buffer.from(this.#template);
    const id = this.#ids.next();
    frame.write(id, this.#idAt, "latin1");
    if (this.#requestIdAt >= 0)
      frame.write(id.slice(-requestIdPlaceholder.length), this.#requestIdAt, "latin1");
    if (mark !== undefined) frame.write(mark, this.#bodyAt, "latin1");
    return frame;
  }
}

/**
 * Makes ids that rise with time, as UUIDv7 do, without a look at the clock or
 * at chance for each: what stores like about them is their order.
 */
export class MessageIds {
  readonly #prefix: string;
  #count = 0;

  constructor(nowMs = Date.now()) {
    const time = nowMs.toString(16).padStart(12, "0");
    this.#prefix = `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-`;
  }

  next(): string {
    return this.#prefix + (++this.#count).toString(16).padStart(12, "0");
  }
}

const contentInit = { kind: { case: "text", value: { body } } } as const;
