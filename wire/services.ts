import { ChatService } from "../gen/parlance/chat/v1/chat_service_pb.js";
import { ConversationService } from "../gen/parlance/chat/v1/conversation_service_pb.js";
import { GroupService } from "../gen/parlance/chat/v1/group_service_pb.js";
import { MessageService } from "../gen/parlance/chat/v1/message_service_pb.js";
import { PresenceService } from "../gen/parlance/chat/v1/presence_service_pb.js";

/**
 * The services of the contract, as generated, by the names under which clients
 * and the embedding API offer their calls, such as `client.groups`. Everything
 * that goes through all services goes through this list.
 */
export const services = {
  chat: ChatService,
  groups: GroupService,
  conversations: ConversationService,
  messages: MessageService,
  presence: PresenceService,
} as const;

/** The type of `services`. */
export type Services = typeof services;

/** The services in a row. */
export const chatServices = Object.values(services);
