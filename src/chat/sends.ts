import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { SendDirectRequest, SendGroupRequest } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { type Content, ContentSchema } from "../../gen/parlance/chat/v1/content_pb.js";
import { type SendResult, SendResultSchema } from "../../gen/parlance/chat/v1/message_pb.js";
import { encodeDraft } from "../../wire/fast/message.ts";
import type { SentMessage } from "../../wire/fast/sent.ts";
import {
  directConversationId,
  groupConversationId,
  type MessageKey,
  messageIdOf,
  parseMessageId,
} from "../../wire/ids.ts";
import { WireWriter } from "../../wire/writer.ts";
import { waitingFailPoint } from "../fail-points.ts";
import type { Caller } from "../model/caller.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { Appended, Draft } from "../model/records.ts";
import type { StoreIdentity } from "../store/ports/identity.ts";
import type { LogStore } from "../store/ports/log.ts";

/** A message that was taken in. */
export interface Sent extends SentMessage {
  /** How many bytes it takes in the store. */
  bytes: number;
}

/**
 * Takes messages in. What is wrong with a request is thrown at once, what the
 * store refuses rejects. With a `refusal` nothing is taken in: what is there
 * already is answered as it was, all else rejects with that.
 */
export interface Sends {
  /** @throws ChatError as `ChatService.SendDirect` says */
  sendDirect(request: SendDirectRequest, caller: Caller, refusal?: ChatError): Promise<Sent>;
  /** @throws ChatError as `ChatService.SendGroup` says */
  sendGroup(request: SendGroupRequest, caller: Caller, refusal?: ChatError): Promise<Sent>;
}

/** Makes the answer to a send. */
export function sendResultOf({ messageId, conversationId, clientMessageId, appended }: Sent): SendResult {
  return create(SendResultSchema, {
    messageId,
    conversationId,
    seq: BigInt(appended.seq),
    position: BigInt(appended.position),
    acceptTime: timestampFromMs(appended.acceptTimeMs),
    clientMessageId,
    duplicate: appended.duplicate,
  });
}

/**
 * Makes what takes messages in. Everything before the append happens without
 * waiting, so that the messages of one stream keep their order.
 */
export function createSends(store: StoreIdentity & LogStore, maxContentBytes: number): Sends {
  const writer = new WireWriter();

  async function send(draft: Draft, refusal: ChatError | undefined): Promise<Sent> {
    const appended = await (refusal === undefined ? store.append(draft) : findEarlier(draft, refusal));
    const held = waitingFailPoint("send.before-answer");
    if (held !== undefined) await held;
    return {
      messageId: messageIdOf(appended.acceptTimeMs, store.salt, appended.position),
      conversationId: draft.conversationId,
      clientMessageId: draft.clientMessageId,
      appended,
      bytes: draft.body.length,
    };
  }

  async function findEarlier(draft: Draft, refusal: ChatError): Promise<Appended> {
    const { senderId, clientMessageId, conversationId, body } = draft;
    const earlier = clientMessageId === "" ? undefined : await store.findMessage(senderId, clientMessageId);
    if (earlier?.conversationId !== conversationId || Buffer.compare(earlier.body, body) !== 0) throw refusal;
    const { seq, position, acceptTimeMs } = earlier;
    return { seq, position, acceptTimeMs, duplicate: true };
  }

  function draftOf(
    { content, clientMessageId, options }: SendDirectRequest | SendGroupRequest,
    senderId: string,
    conversationId: string,
    target: { case: "recipientId" | "groupId"; value: string },
  ): Draft {
    checkType(content as Content);
    checkSize(content as Content, maxContentBytes);
    return {
      conversationId,
      senderId,
      [target.case]: target.value,
      clientMessageId,
      ...(options?.replyToMessageId && { replyTo: replyTarget(options.replyToMessageId) }),
      body: encodeDraft(
        { conversationId, senderId, target, content: content as Content, clientMessageId, options },
        writer,
      ),
    };
  }

  function replyTarget(messageId: string): MessageKey {
    const key = parseMessageId(messageId, store.salt);
    if (key === undefined) {
      throw new ChatError(
        ErrorReason.REPLY_TARGET_NOT_FOUND,
        "the message to reply to is not in this conversation",
      );
    }
    return key;
  }

  return {
    sendDirect(request, { userId }, refusal) {
      const { recipientId } = request;
      if (recipientId === userId) {
        throw new ChatError(
          ErrorReason.RECIPIENT_IS_SENDER,
          "a direct message needs another user as recipient",
          {
            violations: [
              { field: "recipient_id", rule: "other_user", description: "must not be the sender" },
            ],
          },
        );
      }
      const conversationId = directConversationId(userId, recipientId);
      const target = { case: "recipientId", value: recipientId } as const;
      return send(draftOf(request, userId, conversationId, target), refusal);
    },
    sendGroup(request, { userId }, refusal) {
      const { groupId } = request;
      const target = { case: "groupId", value: groupId } as const;
      return send(draftOf(request, userId, groupConversationId(groupId), target), refusal);
    },
  };
}

/** Refuses what no reader could tell the type of. */
function checkType({ kind }: Content): void {
  if (kind.case !== "custom" || /[^/\s]$/.test(kind.value.typeUrl)) return;
  const field = "content.custom.type_url";
  const description = "must end in the name of the type, as in type.googleapis.com/acme.Order";
  throw new ChatError(ErrorReason.INVALID_REQUEST, `${field}: ${description}`, {
    violations: [{ field, rule: "type_name", description }],
  });
}

function checkSize(content: Content, maxContentBytes: number): void {
  // Text is the usual case and needs no encoding to tell that it is small enough.
  if (content.kind.case === "text" && content.kind.value.body.length * 3 < maxContentBytes / 2) {
    if (content.kind.value.entities.length === 0 && content.fallbackText === "") return;
  }
  const size = toBinary(ContentSchema, content).length;
  if (size > maxContentBytes) {
    throw new ChatError(
      ErrorReason.CONTENT_TOO_LARGE,
      `content is ${size} bytes when encoded, more than the ${maxContentBytes} allowed`,
      {
        violations: [
          { field: "content", rule: "max_content_bytes", description: `at most ${maxContentBytes} bytes` },
        ],
        metadata: { max_content_bytes: String(maxContentBytes) },
      },
    );
  }
}
