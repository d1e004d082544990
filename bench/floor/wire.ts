/** What floors send: the bytes that Parlance sends for the same work, made once. */

import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { StreamResponseSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { ServerEventSchema } from "../../gen/parlance/chat/v1/event_pb.js";
import { body } from "../load/sends.ts";

const id = "01900000-0000-7000-8000-000000000000";
const cursor = { epoch: "0123456789abcdef", position: 100_000n };
const acceptTime = timestampFromMs(1_750_000_000_123);

/** What answers the request that opens a stream. */
export const opened = encode(
  { requestId: "open", event: { case: "opened", value: { sessionId: id, cursor } } },
  { event: { case: "caughtUp", value: { cursor } } },
);

/** What answers a send. */
export const reply = encode({
  requestId: "00000001",
  event: {
    case: "sent",
    value: {
      messageId: id,
      conversationId: "d:user10:user11",
      seq: 1_000n,
      position: 100_000n,
      acceptTime,
      clientMessageId: id,
    },
  },
});

/** What each recipient gets of it. */
export const event = encode({
  cursor,
  event: {
    case: "message",
    value: {
      messageId: id,
      conversationId: "d:user10:user11",
      seq: 1_000n,
      senderId: "user10",
      target: { case: "recipientId", value: "user11" },
      content: { kind: { case: "text", value: { body } } },
      clientMessageId: id,
      acceptTime,
    },
  },
});

function encode(...events: Array<MessageInitShape<typeof ServerEventSchema>>): Buffer {
  return Buffer.from(toBinary(StreamResponseSchema, create(StreamResponseSchema, { events })));
}
