/** Encodes the answers to sends, which are made as often as messages are sent. */

import {
  SendDirectResponseSchema,
  StreamResponseSchema,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { ServerEventSchema } from "../../gen/parlance/chat/v1/event_pb.js";
import { SendResultSchema } from "../../gen/parlance/chat/v1/message_pb.js";
import { tagOf } from "../tags.ts";
import type { WireWriter } from "../writer.ts";

/** A message that was taken in, and where it stands. */
export interface SentMessage {
  messageId: string;
  conversationId: string;
  /** As in the request; empty when it had none. */
  clientMessageId: string;
  appended: {
    seq: number;
    position: number;
    /** Milliseconds since 1970. */
    acceptTimeMs: number;
    /** Whether an earlier send is the one that stands there. */
    duplicate: boolean;
  };
}

/** Tags of `StreamResponse`, `SendDirectResponse`, `ServerEvent` and `SendResult`. */
const tag = {
  events: tagOf(StreamResponseSchema.field.events),
  result: tagOf(SendDirectResponseSchema.field.result),
  requestId: tagOf(ServerEventSchema.field.requestId),
  sent: tagOf(ServerEventSchema.field.sent),
  messageId: tagOf(SendResultSchema.field.messageId),
  conversationId: tagOf(SendResultSchema.field.conversationId),
  seq: tagOf(SendResultSchema.field.seq),
  position: tagOf(SendResultSchema.field.position),
  acceptTime: tagOf(SendResultSchema.field.acceptTime),
  clientMessageId: tagOf(SendResultSchema.field.clientMessageId),
  duplicate: tagOf(SendResultSchema.field.duplicate),
};

/** Encodes the reply to a send on a stream: the one made as often as messages are sent. */
export function encodeSent(sent: SentMessage, requestId: string, writer: WireWriter): Uint8Array {
  writer.begin();
  const inEvents = writer.open(tag.events);
  if (requestId !== "") writer.string(tag.requestId, requestId);
  writeResult(tag.sent, sent, writer);
  writer.close(inEvents);
  return writer.finish();
}

/** Encodes the response to a unary send, `SendDirectResponse` and `SendGroupResponse` alike. */
export function encodeSendResponse(sent: SentMessage, writer: WireWriter): Uint8Array {
  writer.begin();
  writeResult(tag.result, sent, writer);
  return writer.finish();
}

function writeResult(resultTag: number, sent: SentMessage, writer: WireWriter): void {
  const { seq, position, acceptTimeMs, duplicate } = sent.appended;
  const inResult = writer.open(resultTag);
  writer.string(tag.messageId, sent.messageId);
  writer.string(tag.conversationId, sent.conversationId);
  writer.varint(tag.seq, seq);
  writer.varint(tag.position, position);
  writer.timestamp(tag.acceptTime, acceptTimeMs);
  if (sent.clientMessageId !== "") writer.string(tag.clientMessageId, sent.clientMessageId);
  if (duplicate) writer.varint(tag.duplicate, 1);
  writer.close(inResult);
}
