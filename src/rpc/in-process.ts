import {
  create,
  type DescMethod,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { ConversationService } from "../../gen/parlance/chat/v1/conversation_service_pb.js";
import { GroupService } from "../../gen/parlance/chat/v1/group_service_pb.js";
import { MessageService } from "../../gen/parlance/chat/v1/message_service_pb.js";
import { PresenceService } from "../../gen/parlance/chat/v1/presence_service_pb.js";
import { findMistyped, type Mistyped } from "../../wire/field-types.ts";
import type { Chat } from "../chat/chat.ts";
import type { Caller } from "../model/caller.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import { createHandlers, type Handler, type Handlers, type UnaryName } from "./handlers.ts";
import type { RequestValidator } from "./validation.ts";

/** The calls of a service for code of the same process. They throw a ChatError where a client gets a status. */
export type InProcessService<Service extends DescService> = {
  [Name in UnaryName<Service>]: (
    request: MessageInitShape<Service["method"][Name]["input"]>,
  ) => Promise<MessageShape<Service["method"][Name]["output"]>>;
};

/** The calls of all services in the name of one user. */
export interface InProcessServices {
  chat: InProcessService<typeof ChatService>;
  groups: InProcessService<typeof GroupService>;
  conversations: InProcessService<typeof ConversationService>;
  messages: InProcessService<typeof MessageService>;
  presence: InProcessService<typeof PresenceService>;
}

function refusalOf(mistyped: Mistyped): ChatError {
  const { field, description } = mistyped;
  return new ChatError(ErrorReason.INVALID_REQUEST, `${field || "the request"} ${description}`, {
    violations: [mistyped],
  });
}

/** Makes the edge for code of the same process: the same handlers and validation, no tokens and no wire. */
export function createInProcess(
  chat: Chat,
  { validate }: Pick<RequestValidator, "validate">,
): (caller: Caller) => InProcessServices {
  const handlers = createHandlers(chat);

  function callsOf<Service extends DescService>(service: Service, table: Handlers<Service>, caller: Caller) {
    const entries = Object.entries<Handler<DescMethod["input"], DescMethod["output"]>>(table);
    const calls = entries.map(([name, handler]) => {
      const { input, output } = service.method[name] as DescMethod;
      const call = async (init: MessageInitShape<typeof input>) => {
        // No wire has made sure of it.
        const mistyped = findMistyped(input, init);
        if (mistyped !== undefined) throw refusalOf(mistyped);
        const request = create(input, init);
        validate(input, request);
        return create(output, await handler(request, caller));
      };
      return [name, call];
    });
    return Object.fromEntries(calls) as InProcessService<Service>;
  }

  return (caller) => ({
    chat: callsOf(ChatService, handlers.chat, caller),
    groups: callsOf(GroupService, handlers.groups, caller),
    conversations: callsOf(ConversationService, handlers.conversations, caller),
    messages: callsOf(MessageService, handlers.messages, caller),
    presence: callsOf(PresenceService, handlers.presence, caller),
  });
}
