import { useState } from "react";
import { Announcer } from "./announcer.tsx";
import { Banner } from "./banner.tsx";
import { ChatPane } from "./chat-pane.tsx";
import { useOpenConversation } from "./context.ts";
import { EmptyPane } from "./empty-pane.tsx";
import { NewChatDialog } from "./new-chat-dialog.tsx";
import { Notices } from "./notices.tsx";
import { Sidebar } from "./sidebar.tsx";
import { useTitle } from "./use-title.ts";

/** The page of a user who is signed in: the list beside the open conversation, or one of them where it is narrow. */
export function Shell({ onSignOut }: { onSignOut: () => void }) {
  const open = useOpenConversation();
  const [creating, setCreating] = useState(false);
  useTitle();

  return (
    <div className="shell" data-open={open !== undefined}>
      <a className="skip-link" href={open === undefined ? "#conversations" : "#composer"}>
        {open === undefined ? "Skip to the conversations" : "Skip to the message field"}
      </a>
      <Banner />
      <div className="shell-panes">
        <Sidebar onNew={() => setCreating(true)} onSignOut={onSignOut} />
        {open === undefined ? (
          <EmptyPane onNew={() => setCreating(true)} />
        ) : (
          <ChatPane key={open.id} conversation={open} />
        )}
      </div>
      {creating && <NewChatDialog onClose={() => setCreating(false)} />}
      <Notices />
      <Announcer />
    </div>
  );
}
