import { useChatState } from "./context.ts";
import { Icon, Logo } from "./icons.tsx";

/** What stands beside the list while no conversation is open. */
export function EmptyPane({ onNew }: { onNew: () => void }) {
  const loaded = useChatState((state) => state.loaded);
  const any = useChatState((state) => state.conversations.size > 0);
  return (
    <main className="empty-pane">
      {loaded && (
        <div className="empty">
          <Logo size={56} />
          <h2>{any ? "Choose a conversation" : "It is quiet here"}</h2>
          <p>
            {any
              ? "Or start a new one with a person or a group."
              : "Write to somebody by their name, or make a group."}
          </p>
          <button type="button" className="button button-primary" onClick={onNew}>
            <Icon name="plus" size={18} /> New chat
          </button>
        </div>
      )}
    </main>
  );
}
