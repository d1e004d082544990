import type {
  GetMessageRequest,
  ListMessagesRequest,
  MessageService,
} from "../../gen/parlance/chat/v1/message_service_pb.js";
import { decodeMessage, encodedSizeOf } from "../../wire/fast/message.ts";
import { parseMessageId } from "../../wire/ids.ts";
import { EventKind, type LogEvent } from "../../wire/log-event.ts";
import type { Caller } from "../model/caller.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { Handlers } from "../model/handlers.ts";
import { ceilMs, floorMs, toNumber } from "../model/numbers.ts";
import type { Access, SeqRange } from "../model/records.ts";
import type { ConversationStore } from "../store/ports/conversations.ts";
import type { StoreIdentity } from "../store/ports/identity.ts";
import type { LogStore } from "../store/ports/log.ts";
import { conversationIdOf, conversationNotFound } from "./conversations.ts";
import type { Groups } from "./groups.ts";
import { countWithin } from "./page-size.ts";
import type { PageTokens } from "./page-tokens.ts";

const defaultPageSize = 50;

/** Implements `MessageService`: reads the history. */
export class History implements Handlers<typeof MessageService> {
  readonly #store: StoreIdentity & LogStore & ConversationStore;
  readonly #groups: Groups;
  readonly #pages: PageTokens;
  readonly #maxBytes: number;

  /** @param maxBytes the largest answer */
  constructor(
    store: StoreIdentity & LogStore & ConversationStore,
    groups: Groups,
    pages: PageTokens,
    maxBytes: number,
  ) {
    this.#maxBytes = maxBytes;
    this.#store = store;
    this.#groups = groups;
    this.#pages = pages;
  }

  async getMessage({ messageId }: GetMessageRequest, { userId }: Caller) {
    const event = await this.#find(messageId);
    const access = event && (await this.#store.access(userId, event.conversationId));
    if (event === undefined || access === undefined || event.seq < access.visibleFromSeq)
      throw messageNotFound();
    return { message: decodeMessage(event, this.#store.salt) };
  }

  async listMessages(request: ListMessagesRequest, { userId }: Caller) {
    const { conversationId, access } = await this.#open(request, userId);
    // A direct conversation that nobody has begun is empty, not an error.
    if (access === undefined) return { messages: [], nextPageToken: "", lastSeq: 0n };
    const limit = request.pageSize || defaultPageSize;
    const events =
      request.aroundMessageId === undefined
        ? await this.#page(request, userId, conversationId, access, limit)
        : {
            page: await this.#around(request.aroundMessageId, conversationId, access, limit),
            nextPageToken: "",
          };
    return {
      messages: events.page.map((event) => decodeMessage(event, this.#store.salt)),
      nextPageToken: events.nextPageToken,
      lastSeq: BigInt(access.lastSeq),
    };
  }

  async #open(
    { target }: ListMessagesRequest,
    userId: string,
  ): Promise<{ conversationId: string; access: Access | undefined }> {
    const conversationId = conversationIdOf(target, userId);
    const access = await this.#store.access(userId, conversationId);
    if (access === undefined && target.case === "groupId")
      await this.#groups.requireMember(target.value, userId);
    if (access === undefined && target.case === "conversationId") throw conversationNotFound();
    return { conversationId, access };
  }

  async #page(
    request: ListMessagesRequest,
    userId: string,
    conversationId: string,
    access: Access,
    limit: number,
  ) {
    const { afterSeq, beforeSeq, afterTime, beforeTime } = request;
    const bounds = [afterSeq, beforeSeq, afterTime && floorMs(afterTime), beforeTime && ceilMs(beforeTime)];
    const scope = ["ListMessages", userId, conversationId, ...bounds.map(String)];
    const from = this.#pages.readNumber(scope, request.pageToken);

    const fromEnd =
      afterSeq === undefined && afterTime === undefined && bounds.some((bound) => bound !== undefined);
    let low = Math.max(toNumber(afterSeq ?? 0n), access.visibleFromSeq - 1);
    let high = Math.min(
      beforeSeq === undefined ? access.lastSeq + 1 : toNumber(beforeSeq),
      access.lastSeq + 1,
    );
    if (afterTime !== undefined) {
      const seq = await this.#store.seqAtTime(conversationId, floorMs(afterTime) + 1);
      low = Math.max(low, seq - 1);
    }
    if (beforeTime !== undefined) {
      high = Math.min(high, await this.#store.seqAtTime(conversationId, ceilMs(beforeTime)));
    }
    if (from !== undefined && fromEnd) high = Math.min(high, from);
    else if (from !== undefined) low = Math.max(low, from);

    const events = await this.#read(conversationId, {
      afterSeq: low,
      beforeSeq: high,
      limit: limit + 1,
      fromEnd,
    });
    const nearest = fromEnd ? events.toReversed() : events;
    const fitting = nearest.slice(0, this.#countWithin(nearest.slice(0, limit)));
    // The store ends early behind one that alone is too large.
    const more =
      fitting.length < events.length || fitting.some((event) => encodedSizeOf(event) > this.#maxBytes);
    const edge = fitting.at(-1);
    const page = fromEnd ? fitting.reverse() : fitting;
    return {
      page,
      nextPageToken: more && edge !== undefined ? this.#pages.make(scope, String(edge.seq)) : "",
    };
  }

  async #around(
    messageId: string,
    conversationId: string,
    access: Access,
    limit: number,
  ): Promise<LogEvent[]> {
    const middle = await this.#find(messageId);
    if (middle?.conversationId !== conversationId || middle.seq < access.visibleFromSeq)
      throw messageNotFound();
    const before = Math.floor((limit - 1) / 2);
    const low = access.visibleFromSeq - 1;
    const [older, newer] = await Promise.all([
      before === 0
        ? []
        : this.#read(conversationId, { afterSeq: low, beforeSeq: middle.seq, limit: before, fromEnd: true }),
      this.#read(conversationId, {
        afterSeq: middle.seq - 1,
        beforeSeq: access.lastSeq + 1,
        limit: limit - before,
        fromEnd: false,
      }),
    ]);
    const distance = ({ seq }: LogEvent) => Math.abs(seq - middle.seq);
    const nearest = [...older, ...newer].sort((a, b) => distance(a) - distance(b));
    return nearest.slice(0, this.#countWithin(nearest)).sort((a, b) => a.seq - b.seq);
  }

  #countWithin(events: readonly LogEvent[]): number {
    return countWithin(events, encodedSizeOf, this.#maxBytes);
  }

  #read(conversationId: string, range: Omit<SeqRange, "messagesOnly" | "maxBytes">): Promise<LogEvent[]> {
    return this.#store.readSeqs(conversationId, { ...range, messagesOnly: true, maxBytes: this.#maxBytes });
  }

  async #find(messageId: string): Promise<LogEvent | undefined> {
    const key = parseMessageId(messageId, this.#store.salt);
    if (key === undefined) return undefined;
    const event = await this.#store.readPosition(key.position);
    return event?.kind === EventKind.MESSAGE && event.acceptTimeMs === key.acceptTimeMs ? event : undefined;
  }
}

function messageNotFound(): ChatError {
  return new ChatError(ErrorReason.MESSAGE_NOT_FOUND, "there is no such message, or you may not read it");
}
