import type { Conversation } from "../../model/state.ts";
import { BubbleView } from "./bubble-view.tsx";
import { NoteText } from "./note-text.tsx";
import type { Row } from "./rows.ts";

/** One line of the history. */
export function RowView({ row, conversation }: { row: Row; conversation: Conversation }) {
  switch (row.kind) {
    case "bubble":
      return (
        <BubbleView
          bubble={row}
          conversationId={conversation.id}
          inGroup={"groupId" in conversation.target}
          read={row.own && row.seq !== undefined && row.seq <= conversation.peerReadSeq}
        />
      );
    case "day":
      return (
        <p className="row-day">
          <span>{row.label}</span>
        </p>
      );
    case "unread":
      return (
        <p className="row-unread">
          <span>New messages</span>
        </p>
      );
    case "start":
      return <p className="row-start">This is the beginning of the conversation.</p>;
    case "note":
      return (
        <p className="row-note">
          <NoteText note={row.note} />
        </p>
      );
  }
}
