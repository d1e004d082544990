/** Encodes the events that are not of the log, each as a `StreamResponse` of its own. */

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { StreamResponseSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { CursorSchema } from "../../gen/parlance/chat/v1/cursor_pb.js";
import type { ServerEventSchema } from "../../gen/parlance/chat/v1/event_pb.js";
import type { Sent } from "./sends.ts";
import { tagOf, type WireWriter } from "./wire-writer.ts";

/** One event, without its cursor. */
export type EventInit = NonNullable<MessageInitShape<typeof ServerEventSchema>["event"]>;

/** Encodes an event; with a `requestId` as the reply to that request. */
export function encodeEvent(event: EventInit, requestId = ""): Uint8Array {
  return toBinary(StreamResponseSchema, create(StreamResponseSchema, { events: [{ requestId, event }] }));
}

/** Tags of `StreamResponse.events`, `SendDirectResponse.result`, `ServerEvent` and `SendResult`. */
const tag = {
  events: tagOf.bytes(1),
  result: tagOf.bytes(1),
  requestId: tagOf.bytes(1),
  sent: tagOf.bytes(6),
  messageId: tagOf.bytes(1),
  conversationId: tagOf.bytes(2),
  seq: tagOf.varint(3),
  position: tagOf.varint(4),
  acceptTime: tagOf.bytes(5),
  clientMessageId: tagOf.bytes(6),
  duplicate: tagOf.varint(7),
};

/** Encodes the reply to a send on a stream: the one made as often as messages are sent. */
export function encodeSent(sent: Sent, requestId: string, writer: WireWriter): Uint8Array {
  writer.begin();
  const inEvents = writer.open(tag.events);
  if (requestId !== "") writer.string(tag.requestId, requestId);
  writeResult(tag.sent, sent, writer);
  writer.close(inEvents);
  return writer.finish();
}

/** Encodes the response to a unary send, `SendDirectResponse` and `SendGroupResponse` alike. */
export function encodeSendResponse(sent: Sent, writer: WireWriter): Uint8Array {
  writer.begin();
  writeResult(tag.result, sent, writer);
  return writer.finish();
}

function writeResult(resultTag: number, sent: Sent, writer: WireWriter): void {
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

/** Makes a cursor. */
export function cursorAt(epoch: string, position: number) {
  return create(CursorSchema, { epoch, position: BigInt(position) });
}
