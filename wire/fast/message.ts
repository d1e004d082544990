/** Turns messages into the bodies that the store keeps, and back. */

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Content,
  ContentSchema,
  type SendOptions,
  TextSchema,
} from "../../gen/parlance/chat/v1/content_pb.js";
import { type ChatMessage, ChatMessageSchema } from "../../gen/parlance/chat/v1/message_pb.js";
import { messageIdOf } from "../ids.ts";
import type { LogEvent } from "../log-event.ts";
import { tagOf } from "../tags.ts";
import type { WireWriter } from "../writer.ts";

/** Tags of `ChatMessage`, and of `Content.text` and `Text.body`. */
const tag = {
  conversationId: tagOf(ChatMessageSchema.field.conversationId),
  senderId: tagOf(ChatMessageSchema.field.senderId),
  recipientId: tagOf(ChatMessageSchema.field.recipientId),
  groupId: tagOf(ChatMessageSchema.field.groupId),
  content: tagOf(ChatMessageSchema.field.content),
  clientMessageId: tagOf(ChatMessageSchema.field.clientMessageId),
  text: tagOf(ContentSchema.field.text),
  body: tagOf(TextSchema.field.body),
};

/** The parts of a message that the sender determines. */
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
export function encodeDraft(draft: MessageDraft, writer: WireWriter): Uint8Array {
  const { options, content } = draft;
  if (options === undefined) return encodePlain(draft, writer);
  return toBinary(
    ChatMessageSchema,
    create(ChatMessageSchema, {
      conversationId: draft.conversationId,
      senderId: draft.senderId,
      target: draft.target,
      content,
      clientMessageId: draft.clientMessageId,
      replyToMessageId: options.replyToMessageId.toLowerCase(),
      mentionUserIds: options.mentionUserIds,
      mentionAll: options.mentionAll,
      labels: sortedByKey(options.labels),
      silent: options.silent,
    }),
  );
}

/** Encodes a draft without options, to the bytes that the library makes of it. */
function encodePlain(draft: MessageDraft, writer: WireWriter): Uint8Array {
  const { target, content, clientMessageId } = draft;
  writer.begin();
  writer.string(tag.conversationId, draft.conversationId);
  writer.string(tag.senderId, draft.senderId);
  writer.string(target.case === "recipientId" ? tag.recipientId : tag.groupId, target.value);
  const { kind, fallbackText } = content;
  if (kind.case === "text" && kind.value.entities.length === 0 && fallbackText === "") {
    const inContent = writer.open(tag.content);
    const inText = writer.open(tag.text);
    if (kind.value.body !== "") writer.string(tag.body, kind.value.body);
    writer.close(inText);
    writer.close(inContent);
  } else {
    writer.bytes(tag.content, toBinary(ContentSchema, content));
  }
  if (clientMessageId !== "") writer.string(tag.clientMessageId, clientMessageId);
  return writer.finish();
}

/** Decodes a stored message and adds what the store determined. */
export function decodeMessage(event: LogEvent, salt: number): ChatMessage {
  const message = fromBinary(ChatMessageSchema, event.body);
  message.messageId = messageIdOf(event.acceptTimeMs, salt, event.position);
  message.seq = BigInt(event.seq);
  message.acceptTime = timestampFromMs(event.acceptTimeMs);
  return message;
}

/** The bytes a decoded message has beyond its stored body: id, seq, time, tags and lengths. */
const addedBytes = 96;

/** Returns at least the bytes that a message takes within a list. */
export function encodedSizeOf({ body }: LogEvent): number {
  return body.length + addedBytes;
}

function sortedByKey(labels: Record<string, string>): Record<string, string> {
  const keys = Object.keys(labels);
  if (keys.length < 2) return labels;
  return Object.fromEntries(keys.sort().map((key) => [key, labels[key] as string]));
}
