import { Avatar } from "./avatar.tsx";
import { useChatState } from "./context.ts";
import { ConversationList } from "./conversation-list.tsx";
import { Icon, Logo } from "./icons.tsx";
import { inline } from "./text.ts";
import { ThemeSwitch } from "./theme-switch.tsx";

/** The list of conversations, with who is signed in. */
export function Sidebar({ onNew, onSignOut }: { onNew: () => void; onSignOut: () => void }) {
  const userId = useChatState((state) => state.userId);
  const live = useChatState((state) => state.link.phase === "live");
  return (
    <div className="sidebar">
      <header className="sidebar-head">
        <Logo size={26} />
        <h1>Parlance</h1>
        <button
          type="button"
          className="button button-icon button-tinted"
          aria-label="New chat"
          title="New chat"
          onClick={onNew}
        >
          <Icon name="plus" />
        </button>
      </header>
      <ConversationList />
      <footer className="sidebar-foot">
        <Avatar name={userId} colourKey={userId} size={32} online={live} />
        <span className="sidebar-me">
          <span className="visually-hidden">Signed in as </span>
          <bdi>{inline(userId)}</bdi>
        </span>
        <ThemeSwitch />
        <button
          type="button"
          className="button button-icon"
          aria-label="Sign out"
          title="Sign out"
          onClick={onSignOut}
        >
          <Icon name="leave" />
        </button>
      </footer>
    </div>
  );
}
