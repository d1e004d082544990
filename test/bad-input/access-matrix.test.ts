import { globSync, readFileSync } from "node:fs";
import type { CallOptions } from "nice-grpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AdminService } from "../../gen/parlance/admin/v1/admin_service_pb.js";
import { Role } from "../../gen/parlance/chat/v1/group_pb.js";
import { chatServices } from "../../wire/services.ts";
import { failureOf } from "../support/errors.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";

/** What exists, and what is asked for. */
interface Target {
  groupId: string;
  conversationId: string;
  /** A message of the conversation that was sent after the former member had gone. */
  messageId: string;
  /** A member, for calls that concern one. */
  memberId: string;
}

type Clients = Omit<UserClients, "userId" | "token" | "sessionId">;

/** `data` when the caller got what they asked for, `nothing` when an answer held none of it, or the reason of the refusal. */
type Answer = string;

interface Row {
  /** Makes the call; returns false when its answer holds nothing of the target. */
  call: (clients: Clients, target: Target, options: CallOptions) => Promise<unknown>;
  /** The answers to a member, a former member, a user who never was one, and a caller without a token. */
  answers: [member: Answer, exMember: Answer, nonMember: Answer, anonymous: Answer];
  /** Who calls as the member; by default one without a special role. */
  as?: "owner";
  /** Whether the target is a conversation of two users; `exMember` does not apply then. */
  direct?: true;
  /** Whether outsiders may learn from it that a target exists, and why that is so. */
  tells?: string;
}

const hidden = (reason: Answer): Row["answers"] => ["data", reason, reason, "MISSING_TOKEN"];
const listed: Row["answers"] = ["data", "nothing", "nothing", "MISSING_TOKEN"];
/** Calls that concern no one but the caller. */
const own: Row["answers"] = ["data", "data", "data", "MISSING_TOKEN"];

const rows: Record<string, Row[]> = {
  "ChatService/Login": [
    {
      call: (clients, _, o) =>
        clients.chat.login(
          { credential: { case: "devUserId", value: "new" }, device: { deviceId: "new" } },
          o,
        ),
      answers: ["data", "data", "data", "data"],
    },
  ],
  "ChatService/Logout": [
    {
      call: (clients, _, o) => clients.chat.logout({}, o),
      answers: own,
      tells: "it ends the session, so it is not asked twice",
    },
  ],
  "ChatService/SendDirect": [
    {
      call: (clients, _, o) => clients.chat.sendDirect({ recipientId: "anyone", content: text("hi") }, o),
      answers: own,
    },
    {
      call: ({ chat }, { messageId }, o) =>
        chat.sendDirect(
          { recipientId: "anyone", content: text("hi"), options: { replyToMessageId: messageId } },
          o,
        ),
      answers: [
        "REPLY_TARGET_NOT_FOUND",
        "REPLY_TARGET_NOT_FOUND",
        "REPLY_TARGET_NOT_FOUND",
        "MISSING_TOKEN",
      ],
    },
  ],
  "ChatService/SendGroup": [
    {
      call: ({ chat }, { groupId }, o) => chat.sendGroup({ groupId, content: text("hi") }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
    {
      call: ({ chat }, { groupId, messageId }, o) =>
        chat.sendGroup({ groupId, content: text("hi"), options: { replyToMessageId: messageId } }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
  ],
  "ChatService/Stream": [
    { call: ({ chat }, target, o) => hearsOf(target, chat.stream(openAndEnd(), o)), answers: listed },
  ],
  "ChatService/Listen": [
    { call: ({ chat }, target, o) => hearsOf(target, chat.listen({ open: {} }, o)), answers: listed },
  ],
  "ChatService/Ack": [
    {
      call: async ({ chat }, _, o) => {
        for await (const { events } of chat.listen({}, o)) {
          const [opened] = events;
          if (opened?.event.case === "opened")
            return chat.ack({ cursor: opened.event.value.cursor as object }, o);
        }
        return false;
      },
      answers: own,
    },
  ],
  "ChatService/SetTyping": [
    {
      call: ({ chat }, { groupId }, o) =>
        chat.setTyping({ target: { case: "groupId", value: groupId }, typing: true }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
  ],
  "GroupService/CreateGroup": [
    {
      as: "owner",
      call: ({ groups }, { groupId }, o) => groups.createGroup({ groupId }, o),
      answers: ["GROUP_ID_TAKEN", "GROUP_ID_TAKEN", "GROUP_ID_TAKEN", "MISSING_TOKEN"],
      tells: "ids of groups are chosen by hosts, and two groups cannot have the same",
    },
  ],
  "GroupService/GetGroup": [
    {
      call: async ({ groups }, { groupId }, o) => groups.getGroup({ groupId }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
  ],
  "GroupService/UpdateGroup": [
    {
      as: "owner",
      call: ({ groups }, { groupId }, o) =>
        groups.updateGroup({ group: { groupId, name: "new" }, updateMask: { paths: ["name"] } }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
  ],
  "GroupService/DisbandGroup": [
    {
      as: "owner",
      call: ({ groups }, { groupId }, o) => groups.disbandGroup({ groupId }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
  ],
  "GroupService/JoinGroup": [
    {
      call: ({ groups }, { groupId }, o) => groups.joinGroup({ groupId }, o),
      answers: ["ALREADY_A_MEMBER", "GROUP_NOT_FOUND", "GROUP_NOT_FOUND", "MISSING_TOKEN"],
    },
  ],
  "GroupService/LeaveGroup": [
    {
      call: ({ groups }, { groupId }, o) => groups.leaveGroup({ groupId }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
  ],
  "GroupService/AddMembers": [
    {
      call: ({ groups }, { groupId }, o) => groups.addMembers({ groupId, userIds: ["another"] }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
  ],
  "GroupService/RemoveMembers": [
    {
      as: "owner",
      call: ({ groups }, { groupId, memberId }, o) =>
        groups.removeMembers({ groupId, userIds: [memberId] }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
    {
      as: "owner",
      call: ({ groups }, { groupId }, o) => groups.removeMembers({ groupId, userIds: ["nobody"] }, o),
      answers: ["MEMBER_NOT_FOUND", "GROUP_NOT_FOUND", "GROUP_NOT_FOUND", "MISSING_TOKEN"],
    },
  ],
  "GroupService/UpdateMember": [
    {
      as: "owner",
      call: ({ groups }, { groupId, memberId }, o) =>
        groups.updateMember(
          { member: { groupId, userId: memberId, role: Role.ADMIN }, updateMask: { paths: ["role"] } },
          o,
        ),
      answers: hidden("GROUP_NOT_FOUND"),
    },
  ],
  "GroupService/TransferOwnership": [
    {
      as: "owner",
      call: ({ groups }, { groupId, memberId }, o) =>
        groups.transferOwnership({ groupId, newOwnerId: memberId }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
  ],
  "GroupService/ListMembers": [
    {
      call: ({ groups }, { groupId }, o) => groups.listMembers({ groupId }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
  ],
  "GroupService/BatchGetMembers": [
    {
      call: ({ groups }, { groupId, memberId }, o) =>
        groups.batchGetMembers({ groupId, userIds: [memberId] }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
  ],
  "GroupService/ListMyGroups": [
    {
      call: async ({ groups }, { groupId }, o) =>
        (await groups.listMyGroups({}, o)).groups.some((group) => group.groupId === groupId),
      answers: listed,
    },
  ],
  "ConversationService/ListConversations": [
    { call: (clients, target, o) => listsConversation(clients, target, o), answers: listed },
    { direct: true, call: (clients, target, o) => listsConversation(clients, target, o), answers: listed },
  ],
  "ConversationService/GetConversation": [
    {
      call: ({ conversations }, { groupId }, o) =>
        conversations.getConversation({ target: { case: "groupId", value: groupId } }, o),
      answers: hidden("CONVERSATION_NOT_FOUND"),
    },
    {
      direct: true,
      call: ({ conversations }, { conversationId }, o) =>
        conversations.getConversation({ target: { case: "conversationId", value: conversationId } }, o),
      answers: hidden("CONVERSATION_NOT_FOUND"),
    },
  ],
  "ConversationService/MarkRead": [
    {
      call: ({ conversations }, { conversationId }, o) =>
        conversations.markRead({ conversationId, upToSeq: 1n }, o),
      answers: hidden("CONVERSATION_NOT_FOUND"),
    },
    {
      direct: true,
      call: ({ conversations }, { conversationId }, o) =>
        conversations.markRead({ conversationId, upToSeq: 1n }, o),
      answers: hidden("CONVERSATION_NOT_FOUND"),
    },
  ],
  "ConversationService/MarkAllRead": [
    {
      call: async ({ conversations }, _, o) => (await conversations.markAllRead({}, o)).count > 0,
      answers: listed,
    },
    {
      direct: true,
      call: async ({ conversations }, _, o) => (await conversations.markAllRead({}, o)).count > 0,
      answers: listed,
    },
  ],
  "MessageService/GetMessage": [
    {
      call: ({ messages }, { messageId }, o) => messages.getMessage({ messageId }, o),
      answers: hidden("MESSAGE_NOT_FOUND"),
    },
    {
      direct: true,
      call: ({ messages }, { messageId }, o) => messages.getMessage({ messageId }, o),
      answers: hidden("MESSAGE_NOT_FOUND"),
    },
  ],
  "MessageService/ListMessages": [
    {
      call: ({ messages }, { groupId }, o) =>
        messages.listMessages({ target: { case: "groupId", value: groupId } }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
    {
      call: ({ messages }, { conversationId }, o) =>
        messages.listMessages({ target: { case: "conversationId", value: conversationId } }, o),
      answers: hidden("CONVERSATION_NOT_FOUND"),
    },
    {
      call: ({ messages }, { groupId, messageId }, o) =>
        messages.listMessages({ target: { case: "groupId", value: groupId }, aroundMessageId: messageId }, o),
      answers: hidden("GROUP_NOT_FOUND"),
    },
    {
      direct: true,
      call: ({ messages }, { conversationId }, o) =>
        messages.listMessages({ target: { case: "conversationId", value: conversationId } }, o),
      answers: hidden("CONVERSATION_NOT_FOUND"),
    },
  ],
  "PresenceService/GetPresence": [
    {
      call: ({ presence }, { memberId }, o) => presence.getPresence({ userIds: [memberId] }, o),
      answers: own,
      tells: "the presence of a user is the same whether they exist or not: offline",
    },
  ],
};

async function* openAndEnd() {
  yield { request: { case: "open" as const, value: {} } };
}

/** Whether anything of the target comes before the stream has caught up. */
async function hearsOf(
  { conversationId }: Target,
  responses: AsyncIterable<{
    events: { event: { case?: string | undefined; value?: object | undefined } }[];
  }>,
): Promise<boolean> {
  let heard = false;
  for await (const { events } of responses) {
    for (const { event } of events) {
      if (event.value && "conversationId" in event.value && event.value.conversationId === conversationId)
        heard = true;
      if (event.case === "caughtUp") return heard;
    }
  }
  return heard;
}

async function listsConversation(
  { conversations }: Clients,
  { conversationId }: Target,
  options: CallOptions,
) {
  const { conversations: all } = await conversations.listConversations({}, options);
  return all.some((conversation) => conversation.conversationId === conversationId);
}

const rpcs = chatServices.flatMap(({ name, methods }) => methods.map((method) => `${name}/${method.name}`));

let server: TestServer;
/** An id as this server makes them, of no message. */
let absent: string;
beforeAll(async () => {
  server = await startTestServer();
  const someone = await server.login("someone");
  const { result } = await someone.chat.sendDirect({ recipientId: "someone else", content: text("hi") });
  absent = result?.messageId.replace(/.{4}$/, "fffe") ?? "";
});
afterAll(() => server.close());

/** Makes a call and returns how it was answered, and the refusal whole. */
async function ask(row: Row, clients: Clients, target: Target) {
  let shown: unknown;
  try {
    const failure = await failureOf(async (options) => {
      shown = await row.call(clients, target, options);
      return shown;
    });
    return { answer: failure.reasonName, failure };
  } catch (error) {
    if (shown === undefined) throw error;
    return { answer: shown === false ? "nothing" : "data", failure: undefined };
  }
}

/** Makes a group, or a direct conversation, with a past. Users are its own. */
async function createTarget(row: Row, name: string) {
  const [owner, member, exMember, nonMember] = await Promise.all(
    ["owner", "member", "ex-member", "non-member"].map((role) => server.login(`${role} of ${name}`)),
  );
  if (!owner || !member || !exMember || !nonMember) throw new Error("logins failed");
  const target: Target = {
    groupId: name,
    conversationId: row.direct ? `d:${member.userId}:${owner.userId}` : `g:${name}`,
    messageId: absent,
    memberId: member.userId,
  };
  const users = { owner, member, exMember, nonMember, anonymous: server.as({}) };

  /** Lets the target exist; `memberIds` are those who stay, and the former member has gone. */
  async function make(): Promise<void> {
    const content = text("for those who are in");
    if (row.direct) {
      const { result } = (await owner?.chat.sendDirect({ recipientId: member?.userId ?? "", content })) ?? {};
      target.messageId = result?.messageId ?? "";
      return;
    }
    const memberIds = [member?.userId ?? "", exMember?.userId ?? ""];
    await owner?.groups.createGroup({ groupId: name, memberIds });
    await exMember?.groups.leaveGroup({ groupId: name });
    const { result } = (await owner?.chat.sendGroup({ groupId: name, content })) ?? {};
    target.messageId = result?.messageId ?? "";
  }

  /** All that outsiders must not change. */
  async function state() {
    if (row.direct) return owner?.conversations.listConversations({});
    return Promise.all([
      owner?.groups.getGroup({ groupId: name }),
      owner?.groups.listMembers({ groupId: name }),
      owner?.messages.listMessages({ target: { case: "groupId", value: name } }),
    ]);
  }

  return { target, users, make, state };
}

test("every rpc has a row", () => {
  expect(Object.keys(rows).sort()).toEqual([...rpcs].sort());
});

test("every service is for users, and in this matrix, or for operators, whom test/cluster/admin.test.ts is about", () => {
  const protos = globSync("proto/**/*.proto").map((path) => readFileSync(path, "utf8"));
  const services = protos.flatMap((proto) => [...proto.matchAll(/^service (\w+)/gm)].map(([, name]) => name));
  expect(services.sort()).toEqual([...chatServices, AdminService].map(({ name }) => name).sort());
});

describe.each(Object.entries(rows))("%s", (rpc, variants) => {
  test.each(variants.map((row, i) => [`${rpc} ${i}`, row] as const))(
    "answers a member, a former member, a stranger and an anonymous caller as it should (%s)",
    async (name, row) => {
      const { target, users, make, state } = await createTarget(row, name);
      await make();
      const before = await state();
      const [member, exMember, nonMember, anonymous] = row.answers;
      if (!row.direct) expect((await ask(row, users.exMember, target)).answer).toBe(exMember);
      expect((await ask(row, users.nonMember, target)).answer).toBe(nonMember);
      expect((await ask(row, users.anonymous, target)).answer).toBe(anonymous);
      expect(await state()).toEqual(before);
      expect((await ask(row, row.as === "owner" ? users.owner : users.member, target)).answer).toBe(member);
    },
  );

  const telling = variants.filter(({ tells }) => tells === undefined);
  test.each(telling.map((row, i) => [`absent ${rpc} ${i}`, row] as const))(
    "tells an outsider nothing of whether there is such a thing (%s)",
    async (name, row) => {
      const { target, users, make } = await createTarget(row, name);
      const outsiders = row.direct ? [users.nonMember] : [users.nonMember, users.exMember];
      const before = await Promise.all(outsiders.map((outsider) => ask(row, outsider, target)));
      await make();
      const after = await Promise.all(outsiders.map((outsider) => ask(row, outsider, target)));
      expect(after).toEqual(before);
    },
  );
});
