/** Encodes the events that are not of the log, each as a `StreamResponse` of its own. */

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { StreamResponseSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { CursorSchema } from "../../gen/parlance/chat/v1/cursor_pb.js";
import type { ServerEventSchema } from "../../gen/parlance/chat/v1/event_pb.js";

/** One event, without its cursor. */
export type EventInit = NonNullable<MessageInitShape<typeof ServerEventSchema>["event"]>;

/** Encodes an event; with a `requestId` as the reply to that request. */
export function encodeEvent(event: EventInit, requestId = ""): Uint8Array {
  return toBinary(StreamResponseSchema, create(StreamResponseSchema, { events: [{ requestId, event }] }));
}

/** Makes a cursor. */
export function cursorAt(epoch: string, position: number) {
  return create(CursorSchema, { epoch, position: BigInt(position) });
}
