/**
 * Encodes an event of the log as sessions get it: a `StreamResponse` with one
 * `ServerEvent`. This happens once for an event, whatever the number of its
 * recipients, and without decoding what is stored: the body is taken as it is
 * and what only the store knows is written beside it. Protobuf allows fields in
 * any order (https://protobuf.dev/programming-guides/encoding/#order).
 */

import { EventKind, type LogEvent } from "../store/store.ts";
import { messageIdOf } from "./ids.ts";
import { varintSize, writeVarint } from "./wire-writer.ts";

/** Makes frames for the events of one store. */
export type LogFramer = (event: LogEvent) => Uint8Array;

const tag = { field1Bytes: 0x0a, field2Bytes: 0x12, field2Varint: 0x10 };
/** Tags of `ServerEvent.message`, `.membership_changed` and `.group_changed`. */
const eventTag: Record<EventKind, number> = {
  [EventKind.MESSAGE]: 0x4a,
  [EventKind.MEMBERSHIP]: 0x5a,
  [EventKind.GROUP]: 0x62,
};
/** Tags of `ChatMessage.message_id`, `.seq` and `.accept_time`. */
const messageTag = { messageId: 0x0a, seq: 0x18, acceptTime: 0x6a };
const messageIdLength = 36;

/** Makes a framer for a store with this epoch and salt. */
export function createLogFramer(epoch: string, salt: number): LogFramer {
  const epochBytes = Buffer.from(epoch);
  return (event) => {
    const { body, position, seq } = event;
    const isMessage = event.kind === EventKind.MESSAGE;
    const seconds = Math.floor(event.acceptTimeMs / 1000);
    const nanos = (event.acceptTimeMs - seconds * 1000) * 1_000_000;
    const timeSize = 1 + varintSize(seconds) + (nanos > 0 ? 1 + varintSize(nanos) : 0);
    const added = isMessage ? 2 + messageIdLength + 1 + varintSize(seq) + 2 + timeSize : 0;
    const bodySize = body.length + added;
    const cursorSize = 2 + epochBytes.length + 1 + varintSize(position);
    const eventSize = 2 + cursorSize + 1 + varintSize(bodySize) + bodySize;

    const frame = Buffer.allocUnsafe(1 + varintSize(eventSize) + eventSize);
    let at = 0;
    frame[at++] = tag.field1Bytes;
    at = writeVarint(frame, at, eventSize);
    frame[at++] = tag.field2Bytes;
    frame[at++] = cursorSize;
    frame[at++] = tag.field1Bytes;
    frame[at++] = epochBytes.length;
    frame.set(epochBytes, at);
    at += epochBytes.length;
    frame[at++] = tag.field2Varint;
    at = writeVarint(frame, at, position);
    frame[at++] = eventTag[event.kind];
    at = writeVarint(frame, at, bodySize);
    if (isMessage) {
      frame[at++] = messageTag.messageId;
      frame[at++] = messageIdLength;
      at += frame.write(messageIdOf(event.acceptTimeMs, salt, position), at, "latin1");
      frame[at++] = messageTag.seq;
      at = writeVarint(frame, at, seq);
      frame[at++] = messageTag.acceptTime;
      frame[at++] = timeSize;
      frame[at++] = 0x08;
      at = writeVarint(frame, at, seconds);
      if (nanos > 0) {
        frame[at++] = 0x10;
        at = writeVarint(frame, at, nanos);
      }
    }
    frame.set(body, at);
    return frame;
  };
}
