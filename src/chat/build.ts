import type { AllHandlers } from "../model/handlers.ts";
import type { Chat } from "./chat.ts";
import { ChatCalls } from "./chat-calls.ts";

/** Names what does the work of each service. */
export function handlersOf(chat: Chat): AllHandlers {
  return {
    chat: new ChatCalls(chat),
    groups: chat.groups,
    conversations: chat.conversations,
    messages: chat.history,
    presence: chat.presences,
  };
}
