import type {
  DescMessage,
  DescMethod,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { ConversationService } from "../../gen/parlance/chat/v1/conversation_service_pb.js";
import type { GroupService } from "../../gen/parlance/chat/v1/group_service_pb.js";
import type { MessageService } from "../../gen/parlance/chat/v1/message_service_pb.js";
import type { PresenceService } from "../../gen/parlance/chat/v1/presence_service_pb.js";
import type { Chat } from "../chat/chat.ts";
import { sendResultOf } from "../chat/sends.ts";
import type { Caller } from "../model/caller.ts";

/** A method's work, apart from any edge: a request that keeps the schema's rules, and who makes it, to a response. */
export type Handler<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageShape<Input>,
  caller: Caller,
) => Promise<MessageInitShape<Output>>;

/** The names of a service's methods with one request, one response and a caller who is known. */
export type UnaryName<Service extends DescService> = {
  [Name in keyof Service["method"]]: Service["method"][Name] extends DescMethod & { methodKind: "unary" }
    ? Exclude<Name, "login">
    : never;
}[keyof Service["method"]];

/** A handler for each such method. */
export type Handlers<Service extends DescService> = {
  [Name in UnaryName<Service>]: Handler<Service["method"][Name]["input"], Service["method"][Name]["output"]>;
};

/** The handlers of all services, which every edge wraps. */
export interface AllHandlers {
  chat: Handlers<typeof ChatService>;
  groups: Handlers<typeof GroupService>;
  conversations: Handlers<typeof ConversationService>;
  messages: Handlers<typeof MessageService>;
  presence: Handlers<typeof PresenceService>;
}

/** Makes the handlers from the chat. */
export function createHandlers(chat: Chat): AllHandlers {
  const { groups, conversations, history, presences, sends } = chat;
  return {
    chat: {
      logout: async (request, caller) => ({ closedSessions: await chat.logout(caller, request.allDevices) }),
      sendDirect: async (request, caller) => ({
        result: sendResultOf(await sends.sendDirect(request, caller)),
      }),
      sendGroup: async (request, caller) => ({
        result: sendResultOf(await sends.sendGroup(request, caller)),
      }),
      ack: async ({ cursor }, caller) => ({
        cursor: await chat.ack(cursor as NonNullable<typeof cursor>, caller),
      }),
      setTyping: async (request, caller) => {
        await chat.setTyping(request, caller);
        return {};
      },
    },
    groups: {
      createGroup: (request, caller) => groups.createGroup(request, caller),
      getGroup: (request, caller) => groups.getGroup(request, caller),
      updateGroup: (request, caller) => groups.updateGroup(request, caller),
      disbandGroup: (request, caller) => groups.disbandGroup(request, caller),
      joinGroup: (request, caller) => groups.joinGroup(request, caller),
      leaveGroup: (request, caller) => groups.leaveGroup(request, caller),
      addMembers: (request, caller) => groups.addMembers(request, caller),
      removeMembers: (request, caller) => groups.removeMembers(request, caller),
      updateMember: (request, caller) => groups.updateMember(request, caller),
      transferOwnership: (request, caller) => groups.transferOwnership(request, caller),
      listMembers: (request, caller) => groups.listMembers(request, caller),
      listMyGroups: (request, caller) => groups.listMyGroups(request, caller),
    },
    conversations: {
      listConversations: (request, caller) => conversations.listConversations(request, caller),
      markRead: (request, caller) => conversations.markRead(request, caller),
    },
    messages: {
      getMessage: (request, caller) => history.getMessage(request, caller),
      listMessages: (request, caller) => history.listMessages(request, caller),
    },
    presence: {
      getPresence: (request, caller) => presences.getPresence(request, caller),
    },
  };
}
