import { createContext, use, useSyncExternalStore } from "react";
import { type Conversation, openOf } from "../../model/state.ts";
import type { Store } from "../../model/store.ts";
import type { Chat } from "../state/chat.ts";
import type { PageState } from "../state/page-state.ts";
import type { Theme } from "../state/theme.ts";

/** The chat of the user who is signed in. */
export const ChatContext = createContext<Chat | undefined>(undefined);
/** How the page looks. */
export const ThemeContext = createContext<Store<Theme> | undefined>(undefined);

/** Returns the chat, for its actions. */
export function useChat(): Chat {
  const chat = use(ChatContext);
  if (chat === undefined) throw new Error("this component belongs into a ChatContext");
  return chat;
}

/**
 * Returns a part of the state, and has the component drawn again when it changes.
 *
 * @param select returns the same object as long as nothing has changed
 */
export function useChatState<T>(select: (state: PageState) => T): T {
  const { store } = useChat();
  return useSyncExternalStore(store.subscribe, () => select(store.get()));
}

/** Returns the conversation that is open, if one is. */
export function useOpenConversation(): Conversation | undefined {
  return useChatState(openOf);
}
