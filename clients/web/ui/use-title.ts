import { useEffect } from "react";
import { openOf } from "../../model/state.ts";
import { useChatState } from "./context.ts";
import { titleOf } from "./titles.ts";

/** Shows in the window's title how many messages are unread, and what is open. */
export function useTitle(): void {
  const unread = useChatState(({ conversations }) =>
    [...conversations.values()].reduce((sum, conversation) => sum + conversation.unread, 0),
  );
  const open = useChatState((state) => {
    const conversation = openOf(state);
    return conversation && titleOf(conversation, state.groups);
  });
  useEffect(() => {
    const badge = unread > 0 ? `(${unread > 9_999 ? "9999+" : unread}) ` : "";
    document.title = `${badge}${open === undefined ? "" : `${open} – `}Parlance`;
    return () => {
      document.title = "Parlance";
    };
  }, [unread, open]);
}
