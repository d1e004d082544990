import type { DescService } from "@bufbuild/protobuf";
import { type Channel, type Client, createClient, Metadata } from "nice-grpc";
import { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { ConversationService } from "../../gen/parlance/chat/v1/conversation_service_pb.js";
import { GroupService } from "../../gen/parlance/chat/v1/group_service_pb.js";
import { MessageService } from "../../gen/parlance/chat/v1/message_service_pb.js";
import { PresenceService } from "../../gen/parlance/chat/v1/presence_service_pb.js";
import { type RpcDefinition, toDefinition } from "../../wire/definition.ts";
import { TestStream } from "./test-stream.ts";

type ClientOf<Service extends DescService> = Client<RpcDefinition<Service>>;

/** Makes a client that sends this metadata with every call. */
export function clientOf<Service extends DescService>(
  service: Service,
  channel: Channel,
  metadata: Record<string, string>,
): ClientOf<Service> {
  const options = { "*": { metadata: Metadata(metadata) } };
  return createClient(toDefinition(service), channel, options) as ClientOf<Service>;
}

/** Clients of all services of the chat. */
export interface Clients {
  chat: ClientOf<typeof ChatService>;
  groups: ClientOf<typeof GroupService>;
  conversations: ClientOf<typeof ConversationService>;
  messages: ClientOf<typeof MessageService>;
  presence: ClientOf<typeof PresenceService>;
  /** Opens a `Stream`; the first request is sent only when asked. */
  stream: () => TestStream;
}

/** Makes clients of all services that send this metadata with every call. */
export function clientsOf(channel: Channel, metadata: Record<string, string>): Clients {
  const chat = clientOf(ChatService, channel, metadata);
  return {
    chat,
    groups: clientOf(GroupService, channel, metadata),
    conversations: clientOf(ConversationService, channel, metadata),
    messages: clientOf(MessageService, channel, metadata),
    presence: clientOf(PresenceService, channel, metadata),
    stream: () => new TestStream((requests, signal) => chat.stream(requests, { signal })),
  };
}
