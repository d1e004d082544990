import { type KeyboardEvent, useState } from "react";
import type { Conversation } from "../../model/state.ts";
import { ChatHeader } from "./chat-header.tsx";
import { Composer } from "./composer.tsx";
import { useChat } from "./context.ts";
import { DetailsPanel } from "./details-panel.tsx";
import { focusSoon } from "./focus.ts";
import { isComposing } from "./keys.ts";
import { TimelineView } from "./timeline-view.tsx";

/** The open conversation. */
export function ChatPane({ conversation }: { conversation: Conversation }) {
  const chat = useChat();
  const [details, setDetails] = useState(false);

  function closeDetails() {
    setDetails(false);
    focusSoon("#composer");
  }

  function leave() {
    chat.open(undefined);
    focusSoon(`[data-conversation="${CSS.escape(conversation.id)}"]`);
  }

  function onKeyDown(event: KeyboardEvent) {
    if (event.key !== "Escape" || event.defaultPrevented || isComposing(event)) return;
    if (details) closeDetails();
    else leave();
  }

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Esc works wherever the focus is in the pane
    <div className="chat" onKeyDown={onKeyDown}>
      <main className="chat-main">
        <ChatHeader conversation={conversation} details={details} onDetails={setDetails} onLeave={leave} />
        <TimelineView conversation={conversation} />
        <Composer conversation={conversation} />
      </main>
      {details && "groupId" in conversation.target && (
        <DetailsPanel groupId={conversation.target.groupId} onClose={closeDetails} />
      )}
    </div>
  );
}
