/**
 * Encodes an event of the log as sessions get it: a `StreamResponse` with one
 * `ServerEvent`. This happens once for an event, whatever the number of its
 * recipients, and without decoding what is stored or knowing its kind: where the
 * event stands is written before its field, and what only the store knows of a
 * message is written into it. Protobuf allows fields in any order
 * (https://protobuf.dev/programming-guides/encoding/#order).
 */

import { StreamResponseSchema } from "../gen/parlance/chat/v1/chat_service_pb.js";
import { CursorSchema } from "../gen/parlance/chat/v1/cursor_pb.js";
import { ServerEventSchema } from "../gen/parlance/chat/v1/event_pb.js";
import { ChatMessageSchema } from "../gen/parlance/chat/v1/message_pb.js";
import { fieldOf, messageField } from "./event-field.ts";
import { writeMessageId } from "./ids.ts";
import type { LogEvent } from "./log-event.ts";
import { tagOf, tagOfBytes, timestampTag } from "./tags.ts";
import { varintSize, writeVarint } from "./varint.ts";

/** Makes frames for the events of one store. */
export type LogFramer = (event: LogEvent) => Uint8Array;

/** Tags of `StreamResponse`, `ServerEvent` and `Cursor`. */
const tag = {
  events: tagOf(StreamResponseSchema.field.events),
  cursor: tagOf(ServerEventSchema.field.cursor),
  conversationId: tagOf(ServerEventSchema.field.conversationId),
  seq: tagOf(ServerEventSchema.field.seq),
  acceptTime: tagOf(ServerEventSchema.field.acceptTime),
  epoch: tagOf(CursorSchema.field.epoch),
  position: tagOf(CursorSchema.field.position),
};
/** Tags of `ChatMessage`. */
const messageTag = {
  messageId: tagOf(ChatMessageSchema.field.messageId),
  seq: tagOf(ChatMessageSchema.field.seq),
  acceptTime: tagOf(ChatMessageSchema.field.acceptTime),
};
const messageIdLength = 36;

/** Makes a framer for a store with this epoch and salt. */
export function createLogFramer(epoch: string, salt: number): LogFramer {
  const epochBytes = Buffer.from(epoch);
  return (event) => {
    const { body, conversationId, position, seq } = event;
    const field = fieldOf(event.kind, body);
    const isMessage = field?.number === messageField;
    const seconds = Math.floor(event.acceptTimeMs / 1000);
    const nanos = (event.acceptTimeMs - seconds * 1000) * 1_000_000;
    const timeSize = 1 + varintSize(seconds) + (nanos > 0 ? 1 + varintSize(nanos) : 0);
    const seqSize = varintSize(seq);
    const idSize = sizeOf(conversationId);
    const cursorSize = 2 + epochBytes.length + 1 + varintSize(position);
    const fieldTag = field === undefined ? 0 : tagOfBytes(field.number);
    const added = isMessage ? 2 + messageIdLength + 1 + seqSize + 2 + timeSize : 0;
    const valueSize = field === undefined ? 0 : body.length - field.start + added;
    const fieldSize = field === undefined ? 0 : varintSize(fieldTag) + varintSize(valueSize) + valueSize;
    const eventSize =
      2 + cursorSize + (2 + varintSize(idSize) + idSize) + (2 + seqSize) + (3 + timeSize) + fieldSize;

    const frame = Buffer.allocUnsafe(1 + varintSize(eventSize) + eventSize);
    let at = 0;
    frame[at++] = tag.events;
    at = writeVarint(frame, at, eventSize);
    frame[at++] = tag.cursor;
    frame[at++] = cursorSize;
    frame[at++] = tag.epoch;
    frame[at++] = epochBytes.length;
    frame.set(epochBytes, at);
    at += epochBytes.length;
    frame[at++] = tag.position;
    at = writeVarint(frame, at, position);
    at = writeVarint(frame, at, tag.conversationId);
    at = writeVarint(frame, at, idSize);
    at = writeText(frame, at, conversationId, idSize);
    at = writeVarint(frame, at, tag.seq);
    at = writeVarint(frame, at, seq);
    at = writeVarint(frame, at, tag.acceptTime);
    at = writeTime(frame, at, timeSize, seconds, nanos);
    if (field === undefined) return frame;
    at = writeVarint(frame, at, fieldTag);
    at = writeVarint(frame, at, valueSize);
    if (isMessage) {
      frame[at++] = messageTag.messageId;
      frame[at++] = messageIdLength;
      at = writeMessageId(frame, at, event.acceptTimeMs, salt, position);
      frame[at++] = messageTag.seq;
      at = writeVarint(frame, at, seq);
      frame[at++] = messageTag.acceptTime;
      at = writeTime(frame, at, timeSize, seconds, nanos);
    }
    frame.set(field.start === 0 ? body : body.subarray(field.start), at);
    return frame;
  };
}

function writeTime(frame: Buffer, at: number, size: number, seconds: number, nanos: number): number {
  frame[at++] = size;
  frame[at++] = timestampTag.seconds;
  at = writeVarint(frame, at, seconds);
  if (nanos > 0) {
    frame[at++] = timestampTag.nanos;
    at = writeVarint(frame, at, nanos);
  }
  return at;
}

/** Returns how many bytes a text takes. Most are ASCII; for those a loop is faster than a call out of JavaScript. */
function sizeOf(text: string): number {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return Buffer.byteLength(text);
  return text.length;
}

/** Writes a text of this size and returns where the next byte goes. */
function writeText(frame: Buffer, at: number, text: string, size: number): number {
  if (size !== text.length) return at + frame.write(text, at, "utf8");
  for (let i = 0; i < size; i++) frame[at + i] = text.charCodeAt(i);
  return at + size;
}
