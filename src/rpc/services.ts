import type { DescService } from "@bufbuild/protobuf";
import type { Server, ServiceImplementation } from "nice-grpc";
import { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { ConversationService } from "../../gen/parlance/chat/v1/conversation_service_pb.js";
import { GroupService } from "../../gen/parlance/chat/v1/group_service_pb.js";
import { MessageService } from "../../gen/parlance/chat/v1/message_service_pb.js";
import { PresenceService } from "../../gen/parlance/chat/v1/presence_service_pb.js";
import type { Chat } from "../chat/chat.ts";
import type { Logger } from "../chat/logger.ts";
import type { CallHandles } from "./call-handles.ts";
import { type CallParts, type Handler, openCall, unaryCall } from "./calls.ts";
import { type RpcDefinition, toDefinition } from "./definition.ts";
import { listenCall, streamCall } from "./stream.ts";
import type { RequestValidator } from "./validation.ts";

/** The services of the contract, as generated. */
export const chatServices = [
  ChatService,
  GroupService,
  ConversationService,
  MessageService,
  PresenceService,
] as const;

/** A service as nice-grpc's `server.add` takes it. */
export interface MountableService {
  /** Such as `parlance.chat.v1.ChatService`. */
  name: string;
  /** Adds it to a server. */
  mount: (server: Pick<Server, "add">) => void;
}

/** What the services are built on. */
export interface ServiceParts {
  chat: Chat;
  validator: RequestValidator;
  log: Logger;
  /** The calls of the server, to end those whose reader does not read. Without it such a call ends with its connection. */
  handles?: CallHandles | undefined;
}

/** A handler for every method of a service that has one request and one response. */
type UnaryHandlers<Service extends DescService> = {
  [Name in keyof Service["method"]]: Handler<
    Service["method"][Name]["input"],
    Service["method"][Name]["output"]
  >;
};

/** Makes the services of the contract from the chat. */
export function createServices(parts: ServiceParts): MountableService[] {
  const { chat } = parts;
  const { groups, conversations, history, presences } = chat;
  const calls: CallParts = { logins: chat.logins, validator: parts.validator, log: parts.log };

  return [
    mountable(ChatService, chatImplementation(parts, calls)),
    unaryService(GroupService, calls, {
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
    }),
    unaryService(ConversationService, calls, {
      listConversations: (request, caller) => conversations.listConversations(request, caller),
      markRead: (request, caller) => conversations.markRead(request, caller),
    }),
    unaryService(MessageService, calls, {
      getMessage: (request, caller) => history.getMessage(request, caller),
      listMessages: (request, caller) => history.listMessages(request, caller),
    }),
    unaryService(PresenceService, calls, {
      getPresence: (request) => presences.getPresence(request),
    }),
  ];
}

function chatImplementation(
  parts: ServiceParts,
  calls: CallParts,
): ServiceImplementation<RpcDefinition<typeof ChatService>> {
  const { chat } = parts;
  const { method } = ChatService;
  return {
    login: openCall(method.login, (request) => chat.logins.login(request), calls),
    logout: unaryCall(
      method.logout,
      async (request, caller) => ({ closedSessions: await chat.logout(caller, request.allDevices) }),
      calls,
    ),
    sendDirect: unaryCall(
      method.sendDirect,
      async (request, caller) => ({ result: await chat.sends.sendDirect(request, caller) }),
      calls,
    ),
    sendGroup: unaryCall(
      method.sendGroup,
      async (request, caller) => ({ result: await chat.sends.sendGroup(request, caller) }),
      calls,
    ),
    ack: unaryCall(
      method.ack,
      async ({ cursor }, caller) => ({
        cursor: await chat.ack(cursor as NonNullable<typeof cursor>, caller),
      }),
      calls,
    ),
    stream: streamCall(parts),
    listen: listenCall(parts),
  };
}

function unaryService<Service extends DescService>(
  service: Service,
  calls: CallParts,
  handlers: UnaryHandlers<Service>,
): MountableService {
  const implementation = Object.fromEntries(
    service.methods.map((method) => {
      const handler = handlers[method.localName as keyof Service["method"]];
      return [
        method.localName,
        unaryCall(method, handler as Handler<typeof method.input, typeof method.output>, calls),
      ];
    }),
  );
  return mountable(service, implementation);
}

function mountable(service: DescService, implementation: object): MountableService {
  return {
    name: service.typeName,
    mount: (server) => server.add(toDefinition(service), implementation as never),
  };
}
