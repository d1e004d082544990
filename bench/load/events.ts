import { fromBinary } from "@bufbuild/protobuf";
import { StreamResponseSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";

/** The first bytes of fields of `StreamResponse` and `ServerEvent`: number and wire type. */
const Tag = {
  EVENTS: 0x0a,
  REQUEST_ID: 0x0a,
  CURSOR: 0x12,
  OPENED: 0x1a,
  CAUGHT_UP: 0x22,
  SENT: 0x32,
  REFUSAL: 0x3a,
} as const;

/** Counts what a stream delivers by skipping from event to event, without decoding any. */
export class EventCounts {
  /** Events of logs. */
  log = 0;
  replies = 0;
  caughtUp = 0;

  /**
   * Counts the events of an encoded `StreamResponse`.
   *
   * @throws Error when a request was refused
   */
  add(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      if (buffer[at] !== Tag.EVENTS) throw new Error("this is no StreamResponse");
      at++;
      let length = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = buffer[at++] as number;
        length |= (byte & 0x7f) << shift;
        if (byte < 0x80) break;
      }
      const first = buffer[at];
      if (first === Tag.CURSOR) {
        this.log++;
      } else if (first === Tag.REQUEST_ID) {
        this.replies++;
        // The id is shorter than 128 bytes, so its length is one byte.
        if (buffer[at + 2 + (buffer[at + 1] as number)] === Tag.REFUSAL) throw refusalIn(buffer, start, end);
      } else if (first === Tag.SENT || first === Tag.OPENED) {
        this.replies++;
      } else if (first === Tag.CAUGHT_UP) {
        this.caughtUp++;
      } else if (first === Tag.REFUSAL) {
        throw refusalIn(buffer, start, end);
      }
      at += length;
    }
  }
}

function refusalIn(buffer: Buffer, start: number, end: number): Error {
  const { events } = fromBinary(StreamResponseSchema, buffer.subarray(start, end));
  for (const { event } of events) {
    if (event.case === "refusal") return new Error(`the server refused: ${event.value.status?.message}`);
  }
  return new Error("the server refused");
}
