import { type KeyboardEvent, useMemo } from "react";
import { listed } from "../../model/conversations.ts";
import { useChatState } from "./context.ts";
import { ConversationItem } from "./conversation-item.tsx";

const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };

/** All conversations, the liveliest first. Up and down move between them. */
export function ConversationList() {
  const state = useChatState((now) => now);
  const { conversations, loaded } = state;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the order follows from the conversations alone
  const order = useMemo(() => listed(state), [conversations]);

  function move(event: KeyboardEvent<HTMLElement>) {
    const step = steps[event.key];
    if (step === undefined) return;
    const items = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-conversation]")];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const to = Math.max(0, Math.min(items.length - 1, at + step));
    items[to]?.focus();
    event.preventDefault();
  }

  return (
    <nav className="list" id="conversations" aria-label="Conversations" tabIndex={-1} onKeyDown={move}>
      {order.length > 0 && (
        <ul>
          {order.map((conversation) => (
            <ConversationItem key={conversation.id} conversation={conversation} />
          ))}
        </ul>
      )}
      {order.length === 0 && (
        <p className="list-empty">{loaded ? "No conversations yet." : "Loading your conversations…"}</p>
      )}
    </nav>
  );
}
