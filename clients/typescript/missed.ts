import type { Behind } from "../../gen/parlance/chat/v1/event_pb.js";
import type { ChatMessage } from "../../gen/parlance/chat/v1/message_pb.js";
import type {
  ListMessagesRequest,
  ListMessagesResponse,
} from "../../gen/parlance/chat/v1/message_service_pb.js";
import { isAbsent, ParlanceError, Status } from "./errors.ts";
import type { EventLog } from "./event-log.ts";

/** The most messages asked for at once; half as many each time the answer is too large. */
const maxPageSize = 100;

/** Calls the rpc `ListMessages`. */
export type ListMessages = (
  request: Pick<ListMessagesRequest, "pageSize" | "pageToken" | "target"> & { afterSeq: bigint },
) => Promise<ListMessagesResponse>;

/**
 * Reads the messages that a stream did not replay, conversation by
 * conversation, each in the order of seq, from the first that was missed on and
 * none that was already received.
 *
 * @param readUpTo returns the seq up to which the user has read a conversation, for clients of devices that never
 *   acknowledged anything: they begin there. Also asked where the server does not tell the first seq
 * @param show takes a message; what it returns is waited for
 */
export async function fetchMissed(
  behind: Behind,
  log: EventLog,
  listMessages: ListMessages,
  readUpTo: ((conversationId: string) => Promise<bigint>) | undefined,
  show: (message: ChatMessage) => Promise<void> | undefined,
): Promise<void> {
  const gone = new Set([...behind.left, ...behind.disbanded].map(({ conversationId }) => conversationId));
  for (const [conversationId, lastSeq] of Object.entries(behind.lastSeqs)) {
    if (gone.has(conversationId)) continue;
    try {
      const known = log.lastSeq(conversationId);
      const before = (behind.firstSeqs[conversationId] ?? 1n) - 1n;
      const read = known === undefined ? await readUpTo?.(conversationId) : undefined;
      const afterSeq = highest(before, BigInt(known ?? 0), read ?? 0n);
      if (afterSeq >= lastSeq) continue;
      for await (const message of messagesAfter(conversationId, afterSeq, listMessages)) {
        // Later ones come over the stream.
        if (message.seq > lastSeq) break;
        if (log.takeFromHistory(conversationId, Number(message.seq)) === "new") await show(message);
      }
    } catch (error) {
      // Conversations that are not this user's any more are left out.
      if (!isAbsent(error)) throw error;
    }
  }
}

function highest(...seqs: bigint[]): bigint {
  let max = 0n;
  for (const seq of seqs) if (seq > max) max = seq;
  return max;
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
