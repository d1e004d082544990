import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { AllHandlers, AnyHandlers } from "../model/handlers.ts";
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

/** Returns the methods of a service that its handlers do the work of, each with its handler. */
export function handledMethods(
  { methods }: DescService,
  handlers: AnyHandlers,
): [method: DescMethod, handler: AnyHandlers[string]][] {
  return methods.flatMap((method) => {
    const handler = handlers[method.localName];
    return handler === undefined ? [] : [[method, handler.bind(handlers)]];
  });
}
