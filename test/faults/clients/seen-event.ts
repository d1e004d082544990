import type { ServerEvent } from "../../../gen/parlance/chat/v1/event_pb.js";
import type { SeenEvent } from "../history.ts";

/** What the history keeps of an event of a conversation's log; undefined for all others. */
export function seenEvent({
  event,
  cursor,
  conversationId = "",
  seq = 0n,
}: Pick<ServerEvent, "event" | "cursor"> & Partial<ServerEvent>): SeenEvent | undefined {
  switch (event.case) {
    case "message": {
      const { conversationId, seq, messageId, senderId, clientMessageId, content } = event.value;
      return {
        conversationId,
        seq: Number(seq),
        position: Number(cursor?.position ?? 0),
        kind: "message",
        messageId,
        senderId,
        clientMessageId,
        body: content?.kind.case === "text" ? content.kind.value.body : "",
      };
    }
    case "membershipChanged":
    case "groupChanged":
      return {
        conversationId: event.value.conversationId,
        seq: Number(event.value.seq),
        position: Number(cursor?.position ?? 0),
        kind: event.case,
      };
    case undefined:
      if (conversationId === "") return undefined;
      return { conversationId, seq: Number(seq), position: Number(cursor?.position ?? 0), kind: "other" };
    default:
      return undefined;
  }
}
