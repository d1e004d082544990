import type { Conversation } from "../../../gen/parlance/chat/v1/conversation_pb.js";
import { ConversationService } from "../../../gen/parlance/chat/v1/conversation_service_pb.js";
import type { Group } from "../../../gen/parlance/chat/v1/group_pb.js";
import { GroupService } from "../../../gen/parlance/chat/v1/group_service_pb.js";
import type { Calls } from "../client/calls.ts";

const pageSize = 1_000;

/** Returns all conversations of the user. */
export async function listConversations(calls: Calls): Promise<Conversation[]> {
  const all: Conversation[] = [];
  let pageToken = "";
  do {
    const page = await calls.repeated(ConversationService.method.listConversations, { pageSize, pageToken });
    all.push(...page.conversations);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return all;
}

/** Returns all groups of the user. */
export async function listGroups(calls: Calls): Promise<Group[]> {
  const all: Group[] = [];
  let pageToken = "";
  do {
    const page = await calls.repeated(GroupService.method.listMyGroups, { pageSize, pageToken });
    all.push(...page.groups);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return all;
}
