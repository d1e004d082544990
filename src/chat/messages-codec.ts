/** Turns messages into the bodies that the store keeps, and back. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Content, SendOptions } from "../../gen/parlance/chat/v1/content_pb.js";
import { type ChatMessage, ChatMessageSchema } from "../../gen/parlance/chat/v1/message_pb.js";
import type { LogEvent } from "../store/store.ts";
import { messageIdOf } from "./ids.ts";

/** What a sender determines of a message. */
export interface MessageDraft {
  conversationId: string;
  senderId: string;
  target: { case: "recipientId" | "groupId"; value: string };
  content: Content;
  clientMessageId: string;
  options: SendOptions | undefined;
}

/**
 * Encodes a draft. Equal drafts give equal bytes: labels are sorted, since
 * other languages send maps in any order, and unknown fields were dropped when
 * the request was decoded.
 */
export function encodeDraft(draft: MessageDraft): Uint8Array {
  const { options } = draft;
  return toBinary(
    ChatMessageSchema,
    create(ChatMessageSchema, {
      conversationId: draft.conversationId,
      senderId: draft.senderId,
      target: draft.target,
      content: draft.content,
      clientMessageId: draft.clientMessageId,
      ...(options !== undefined && {
        replyToMessageId: options.replyToMessageId.toLowerCase(),
        mentionUserIds: options.mentionUserIds,
        mentionAll: options.mentionAll,
        labels: sortedByKey(options.labels),
        silent: options.silent,
      }),
    }),
  );
}

/** Decodes a stored message and adds what the store determined. */
export function decodeMessage(event: LogEvent, salt: number): ChatMessage {
  const message = fromBinary(ChatMessageSchema, event.body);
  message.messageId = messageIdOf(event.acceptTimeMs, salt, event.position);
  message.seq = BigInt(event.seq);
  message.acceptTime = timestampFromMs(event.acceptTimeMs);
  return message;
}

function sortedByKey(labels: Record<string, string>): Record<string, string> {
  const keys = Object.keys(labels);
  if (keys.length < 2) return labels;
  return Object.fromEntries(keys.sort().map((key) => [key, labels[key] as string]));
}
