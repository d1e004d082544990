import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  ListConversationsRequestSchema,
  ListConversationsResponse,
} from "../../gen/parlance/chat/v1/conversation_service_pb.js";
import type {
  GetGroupRequestSchema,
  GetGroupResponse,
  ListMyGroupsRequestSchema,
  ListMyGroupsResponse,
} from "../../gen/parlance/chat/v1/group_service_pb.js";
import type { SendResult } from "../../gen/parlance/chat/v1/message_pb.js";
import type {
  ListMessagesRequestSchema,
  ListMessagesResponse,
} from "../../gen/parlance/chat/v1/message_service_pb.js";
import type { Target } from "../typescript/sends.ts";

/** The calls that a chat makes, whatever carries them. They are repeated where that helps, and reject with a `ParlanceError`. */
export interface ServerCalls {
  listConversations(
    request: MessageInitShape<typeof ListConversationsRequestSchema>,
  ): Promise<ListConversationsResponse>;
  listMyGroups(request: MessageInitShape<typeof ListMyGroupsRequestSchema>): Promise<ListMyGroupsResponse>;
  getGroup(request: MessageInitShape<typeof GetGroupRequestSchema>): Promise<GetGroupResponse>;
  listMessages(request: MessageInitShape<typeof ListMessagesRequestSchema>): Promise<ListMessagesResponse>;
  markRead(conversationId: string, upToSeq: bigint): Promise<unknown>;
  send(target: Target, text: string, clientMessageId: string): Promise<SendResult>;
}
