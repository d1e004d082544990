import type { Behind } from "../../gen/parlance/chat/v1/event_pb.js";
import type { ChatMessage } from "../../gen/parlance/chat/v1/message_pb.js";
import type {
  ListMessagesRequest,
  ListMessagesResponse,
} from "../../gen/parlance/chat/v1/message_service_pb.js";
import { ErrorReason, ParlanceError, Status } from "./errors.ts";
import type { EventLog } from "./event-log.ts";

/** The most messages asked for at once; half as many each time the answer is too large. */
const maxPageSize = 100;

/** Conversations that are not this user's any more are left out. */
const goneReasons: readonly ErrorReason[] = [
  ErrorReason.CONVERSATION_NOT_FOUND,
  ErrorReason.GROUP_NOT_FOUND,
  ErrorReason.NOT_A_MEMBER,
];

/** Calls the rpc `ListMessages`. */
export type ListMessages = (
  request: Pick<ListMessagesRequest, "pageSize" | "pageToken" | "target"> & { afterSeq: bigint },
) => Promise<ListMessagesResponse>;

/**
 * Reads the messages that a stream did not replay, conversation by
 * conversation, each in the order of seq and none that was already received.
 *
 * Of a conversation that this client knows nothing of, `startAfter` says where
 * to begin.
 *
 * @param show takes a message; what it returns is waited for
 */
export async function fetchMissed(
  behind: Behind,
  log: EventLog,
  listMessages: ListMessages,
  startAfter: (conversationId: string) => Promise<bigint>,
  show: (message: ChatMessage) => Promise<void> | undefined,
): Promise<void> {
  for (const [conversationId, lastSeq] of Object.entries(behind.lastSeqs)) {
    try {
      const known = log.lastSeq(conversationId);
      const afterSeq = known === undefined ? await startAfter(conversationId) : BigInt(known);
      for await (const message of messagesAfter(conversationId, afterSeq, listMessages)) {
        // Later ones come over the stream.
        if (message.seq > lastSeq) break;
        if (log.takeFromHistory(conversationId, Number(message.seq)) === "new") await show(message);
      }
    } catch (error) {
      if (!(error instanceof ParlanceError) || !goneReasons.includes(error.reason)) throw error;
    }
  }
}

async function* messagesAfter(
  conversationId: string,
  afterSeq: bigint,
  listMessages: ListMessages,
): AsyncGenerator<ChatMessage> {
  const target = { case: "conversationId" as const, value: conversationId };
  let pageSize = maxPageSize;
  let pageToken: string | undefined = "";
  while (pageToken !== undefined) {
    let page: ListMessagesResponse;
    try {
      page = await listMessages({ target, afterSeq, pageSize, pageToken });
    } catch (error) {
      if (pageSize === 1 || !isTooLarge(error)) throw error;
      pageSize = Math.floor(pageSize / 2);
      continue;
    }
    yield* page.messages;
    pageToken = page.nextPageToken || undefined;
  }
}

/** Tells whether an answer was larger than this client or the server allows; asked to wait, it was a matter of time. */
function isTooLarge(error: unknown): boolean {
  return (
    error instanceof ParlanceError &&
    error.code === Status.RESOURCE_EXHAUSTED &&
    error.retryAfterMs === undefined
  );
}
