import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Conversation,
  ConversationSchema,
  ReceiptKind,
} from "../../gen/parlance/chat/v1/conversation_pb.js";
import type {
  ConversationService,
  GetConversationRequest,
  ListConversationsRequest,
  MarkAllReadRequest,
  MarkReadRequest,
} from "../../gen/parlance/chat/v1/conversation_service_pb.js";
import { decodeMessage, encodedSizeOf } from "../../wire/fast/message.ts";
import { directConversationId, groupConversationId, parseConversationId, peerOf } from "../../wire/ids.ts";
import { type Bus, EphemeralKind, subjects, subjectsOf } from "../bus/bus.ts";
import { encodeEvent } from "../live/frames.ts";
import type { Caller } from "../model/caller.ts";
import type { Clock } from "../model/clock.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { Handlers } from "../model/handlers.ts";
import { toNumber } from "../model/numbers.ts";
import type { ConversationRecord } from "../model/records.ts";
import { InOrder } from "../store/in-order.ts";
import type { ConversationStore } from "../store/ports/conversations.ts";
import type { StoreIdentity } from "../store/ports/identity.ts";
import { countWithin } from "./page-size.ts";
import type { PageTokens } from "./page-tokens.ts";

const defaultPageSize = 50;
/** How many conversations MarkAllRead marks at a time. */
const markedAtOnce = 200;

/** The caller's conversations and what they have read: the methods of `ConversationService`. */
export class Conversations implements Handlers<typeof ConversationService> {
  readonly #store: StoreIdentity & ConversationStore;
  readonly #bus: Bus;
  readonly #pages: PageTokens;
  readonly #maxBytes: number;
  readonly #clock: Clock;
  readonly #order = new InOrder();

  /** @param maxBytes the largest answer */
  constructor(
    store: StoreIdentity & ConversationStore,
    bus: Bus,
    pages: PageTokens,
    maxBytes: number,
    clock: Clock,
  ) {
    this.#clock = clock;
    this.#maxBytes = maxBytes;
    this.#store = store;
    this.#bus = bus;
    this.#pages = pages;
  }

  /** Tells whether two users have written to each other. */
  async hasDirect(userId: string, otherId: string): Promise<boolean> {
    return (await this.#store.access(userId, directConversationId(userId, otherId))) !== undefined;
  }

  async listConversations({ unreadOnly, pageSize, pageToken }: ListConversationsRequest, { userId }: Caller) {
    const scope = ["ListConversations", userId, String(unreadOnly)];
    const before = this.#pages.readNumber(scope, pageToken) ?? Number.MAX_SAFE_INTEGER;
    const limit = pageSize || defaultPageSize;
    const maxBytes = this.#maxBytes;
    const records = await this.#store.listConversations(userId, before, unreadOnly, limit + 1, maxBytes);
    const page = records.slice(0, countWithin(records.slice(0, limit), sizeOf, maxBytes));
    // The store ends early behind one that alone is too large.
    const more = page.length < records.length || page.some((record) => sizeOf(record) > maxBytes);
    return {
      conversations: page.map((record) => this.#message(record, userId)),
      nextPageToken: more ? this.#pages.make(scope, String(page.at(-1)?.lastPosition)) : "",
    };
  }

  async getConversation({ target }: GetConversationRequest, { userId }: Caller) {
    const conversationId = conversationIdOf(target, userId);
    const record = await this.#store.getConversation(userId, conversationId);
    if (record === undefined) throw conversationNotFound();
    return { conversation: this.#message(record, userId) };
  }

  async markRead({ conversationId, upToSeq }: MarkReadRequest, { userId }: Caller) {
    const rose = await this.#store.markRead(userId, conversationId, toNumber(upToSeq));
    if (rose) this.#publishReceipt(conversationId, userId, upToSeq);
    const record = await this.#store.getConversation(userId, conversationId);
    if (record === undefined) throw conversationNotFound();
    return { conversation: this.#message(record, userId) };
  }

  /** Those of one user follow one another: each looks at all their conversations, and what one marked no other counts. */
  markAllRead(_: MarkAllReadRequest, { userId }: Caller) {
    return this.#order.run([userId], () => this.#markAll(userId));
  }

  async #markAll(userId: string) {
    let count = 0;
    for (let before = Number.MAX_SAFE_INTEGER; ; ) {
      const page = await this.#store.listConversations(userId, before, true, markedAtOnce, this.#maxBytes);
      const rose = await Promise.all(page.map((record) => this.#markAsRead(record, userId)));
      count += rose.filter(Boolean).length;
      const last = page.at(-1);
      if (last === undefined) return { count };
      before = last.lastPosition;
    }
  }

  /** @returns whether messages were unread; not those of a conversation that the user is no longer in */
  async #markAsRead({ conversationId, lastSeq }: ConversationRecord, userId: string): Promise<boolean> {
    try {
      const rose = await this.#store.markRead(userId, conversationId, lastSeq);
      if (rose) this.#publishReceipt(conversationId, userId, BigInt(lastSeq));
      return rose;
    } catch (error) {
      if (error instanceof ChatError && error.reason === ErrorReason.CONVERSATION_NOT_FOUND) return false;
      throw error;
    }
  }

  /** Tells the reader's other devices and, in a direct conversation, the other user. */
  #publishReceipt(conversationId: string, userId: string, upToSeq: bigint): void {
    const frame = encodeEvent({
      case: "receipt",
      value: {
        conversationId,
        userId,
        kind: ReceiptKind.READ,
        upToSeq,
        receiptTime: timestampFromMs(this.#clock.now()),
      },
    });
    const isDirect = parseConversationId(conversationId)?.kind === "direct";
    for (const subject of isDirect ? subjectsOf(conversationId) : [subjects.user(userId)])
      this.#bus.publish(subject, { type: "ephemeral", kind: EphemeralKind.RECEIPT, subject, frame });
  }

  #message(record: ConversationRecord, userId: string): Conversation {
    const { conversationId, lastMessage } = record;
    const target = parseConversationId(conversationId);
    return create(ConversationSchema, {
      conversationId,
      ...(target?.kind === "direct" && {
        target: { case: "peerUserId", value: peerOf(target, userId) },
      }),
      ...(target?.kind === "group" && { target: { case: "groupId", value: target.groupId } }),
      lastSeq: BigInt(record.lastSeq),
      readSeq: BigInt(record.readSeq),
      unreadCount: record.unreadCount,
      ...(lastMessage !== undefined && { lastMessage: decodeMessage(lastMessage, this.#store.salt) }),
    });
  }
}

/** Returns the id of the conversation that a request names, in any of the three ways. */
export function conversationIdOf(
  { case: by, value = "" }: GetConversationRequest["target"],
  userId: string,
): string {
  if (by === "groupId") return groupConversationId(value);
  return by === "recipientId" ? directConversationId(userId, value) : value;
}

/** The bytes of a conversation beyond its ids and message: numbers, tags and lengths. */
const restBytes = 64;

/** At least the bytes that a conversation takes within a list. */
function sizeOf({ conversationId, lastMessage }: ConversationRecord): number {
  const messageBytes = lastMessage === undefined ? 0 : encodedSizeOf(lastMessage);
  return restBytes + 2 * Buffer.byteLength(conversationId) + messageBytes;
}

/** The answer for a conversation that does not exist, and for one the caller is not in. */
export function conversationNotFound(): ChatError {
  return new ChatError(
    ErrorReason.CONVERSATION_NOT_FOUND,
    "there is no such conversation, or you are not in it",
  );
}
