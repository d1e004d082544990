import type { ServerCalls } from "../../model/server-calls.ts";
import type { ParlanceClient } from "../../typescript/index.ts";

/** How long a message is tried, in milliseconds: a server that restarts is back long before. */
const sendDeadlineMs = 600_000;

/** Makes the calls of the chat with the client. */
export function serverCalls(client: ParlanceClient): ServerCalls {
  return {
    listConversations: (request) => client.conversations.listConversations(request),
    listMyGroups: (request) => client.groups.listMyGroups(request),
    getGroup: (request) => client.groups.getGroup(request),
    listMessages: (request) => client.messages.listMessages(request),
    markRead: (conversationId, upToSeq) => client.markRead(conversationId, upToSeq),
    send(target, text, clientMessageId) {
      const options = { clientMessageId, deadlineMs: sendDeadlineMs };
      return "groupId" in target
        ? client.sendGroup(target.groupId, text, options)
        : client.sendDirect(target.recipientId, text, options);
    },
  };
}
