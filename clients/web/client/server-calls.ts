import { ChatService } from "../../../gen/parlance/chat/v1/chat_service_pb.js";
import { ConversationService } from "../../../gen/parlance/chat/v1/conversation_service_pb.js";
import { GroupService } from "../../../gen/parlance/chat/v1/group_service_pb.js";
import { MessageService } from "../../../gen/parlance/chat/v1/message_service_pb.js";
import type { ServerCalls } from "../../model/server-calls.ts";
import { Sends } from "../../typescript/sends.ts";
import type { Calls } from "./calls.ts";

/** How long a message is tried before it counts as failed. */
const sendDeadlineMs = 30_000;

/** Makes the calls of the chat as unary ones. */
export function serverCalls(calls: Calls, closed: AbortSignal, maxContentBytes: () => number): ServerCalls {
  const sends = new Sends({
    streaming: () => false,
    sendDirect: (request, { deadlineMs }) => calls.once(ChatService.method.sendDirect, request, deadlineMs),
    sendGroup: (request, { deadlineMs }) => calls.once(ChatService.method.sendGroup, request, deadlineMs),
    deadlineMs: sendDeadlineMs,
    maxContentBytes,
    closed,
  });
  return {
    listConversations: (request) => calls.repeated(ConversationService.method.listConversations, request),
    listMyGroups: (request) => calls.repeated(GroupService.method.listMyGroups, request),
    getGroup: (request) => calls.repeated(GroupService.method.getGroup, request),
    listMessages: (request) => calls.repeated(MessageService.method.listMessages, request),
    markRead: (conversationId, upToSeq) =>
      calls.once(ConversationService.method.markRead, { conversationId, upToSeq }),
    send: (target, text, clientMessageId) => sends.send(target, text, { clientMessageId }),
  };
}
