/** Whoever is not in a group that is not OPEN gets the answers of one that does not exist, byte for byte. */

import type { DescMessage } from "@bufbuild/protobuf";
import { type CallOptions, ClientError, type Metadata } from "nice-grpc";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type StreamRequest, StreamRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { JoinPolicy, Role } from "../../gen/parlance/chat/v1/group_pb.js";
import { statusDetailsKey } from "../../wire/error-details.ts";
import { chatServices } from "../../wire/services.ts";
import { failureOf } from "../support/errors.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import { invalid } from "./refusal.ts";

type Call = (clients: UserClients, groupId: string, options: CallOptions) => Promise<unknown>;

const groupTarget = (value: string) => ({ case: "groupId" as const, value });
const conversationTarget = (groupId: string) => ({ case: "conversationId" as const, value: `g:${groupId}` });

/** Every field of a request that names a group or a conversation, with a call that uses it. */
const calls: Record<string, Call> = {
  "SendGroup group_id": ({ chat }, groupId, o) => chat.sendGroup({ groupId, content: text("hi") }, o),
  "SetTyping group_id": ({ chat }, groupId, o) => chat.setTyping({ target: groupTarget(groupId) }, o),
  "GetGroup group_id": ({ groups }, groupId, o) => groups.getGroup({ groupId }, o),
  "UpdateGroup group.group_id": ({ groups }, groupId, o) =>
    groups.updateGroup({ group: { groupId, memberLimit: 2 }, updateMask: { paths: ["member_limit"] } }, o),
  "DisbandGroup group_id": ({ groups }, groupId, o) => groups.disbandGroup({ groupId }, o),
  "JoinGroup group_id": ({ groups }, groupId, o) => groups.joinGroup({ groupId }, o),
  "LeaveGroup group_id": ({ groups }, groupId, o) => groups.leaveGroup({ groupId }, o),
  "AddMembers group_id": ({ groups, userId }, groupId, o) =>
    groups.addMembers({ groupId, userIds: [userId] }, o),
  "RemoveMembers group_id": ({ groups, userId }, groupId, o) =>
    groups.removeMembers({ groupId, userIds: [userId] }, o),
  "UpdateMember member.group_id": ({ groups, userId }, groupId, o) =>
    groups.updateMember(
      { member: { groupId, userId, role: Role.ADMIN }, updateMask: { paths: ["role"] } },
      o,
    ),
  "TransferOwnership group_id": ({ groups, userId }, groupId, o) =>
    groups.transferOwnership({ groupId, newOwnerId: userId }, o),
  "ListMembers group_id": ({ groups }, groupId, o) => groups.listMembers({ groupId }, o),
  "BatchGetMembers group_id": ({ groups, userId }, groupId, o) =>
    groups.batchGetMembers({ groupId, userIds: [userId] }, o),
  "GetConversation group_id": ({ conversations }, groupId, o) =>
    conversations.getConversation({ target: groupTarget(groupId) }, o),
  "GetConversation conversation_id": ({ conversations }, groupId, o) =>
    conversations.getConversation({ target: conversationTarget(groupId) }, o),
  "MarkRead conversation_id": ({ conversations }, groupId, o) =>
    conversations.markRead({ conversationId: `g:${groupId}`, upToSeq: 1n }, o),
  "ListMessages group_id": ({ messages }, groupId, o) =>
    messages.listMessages({ target: groupTarget(groupId) }, o),
  "ListMessages conversation_id": ({ messages }, groupId, o) =>
    messages.listMessages({ target: conversationTarget(groupId) }, o),
};

/** Fields that no request means: `Group` and `Member` are answers too. */
const notMeant = new Set(["UpdateGroup group.conversation_id"]);
/** Says whether an id is taken, as it has to where ids are chosen. */
const tells = "CreateGroup group_id";

/** The same on a stream. */
const requests: Record<string, (groupId: string) => StreamRequest["request"] | object> = {
  sendGroup: (groupId) => ({ case: "sendGroup", value: { groupId, content: text("hi") } }),
  markRead: (groupId) => ({ case: "markRead", value: { conversationId: `g:${groupId}`, upToSeq: 1n } }),
  setTyping: (groupId) => ({ case: "setTyping", value: { target: groupTarget(groupId) } }),
};

/** The paths of all fields of a message that name a group or a conversation. */
function namingFields({ fields }: DescMessage, prefix = ""): string[] {
  return fields.flatMap((field) => {
    if (field.name === "group_id" || field.name === "conversation_id") return [prefix + field.name];
    return field.fieldKind === "message" && prefix.length < 40
      ? namingFields(field.message, `${prefix}${field.name}.`)
      : [];
  });
}

test("every request that names a group or a conversation is here", () => {
  const found = chatServices.flatMap(({ methods }) =>
    methods
      .filter(({ methodKind }) => methodKind === "unary")
      .flatMap(({ name, input }) => namingFields(input).map((path) => `${name} ${path}`)),
  );
  expect(found.filter((path) => !notMeant.has(path)).sort()).toEqual([...Object.keys(calls), tells].sort());
  const onStream = StreamRequestSchema.oneofs.flatMap(({ fields }) =>
    fields.filter((field) => field.fieldKind === "message" && namingFields(field.message).length > 0),
  );
  expect(onStream.map(({ localName }) => localName).sort()).toEqual(Object.keys(requests).sort());
});

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

/** All that a caller learns from a call that fails: code, text and the bytes of the details. */
async function learned(call: (options: CallOptions) => Promise<unknown>): Promise<string> {
  let trailer: Metadata | undefined;
  const options: CallOptions = {
    onTrailer: (metadata) => {
      trailer = metadata;
    },
  };
  try {
    return `OK ${JSON.stringify(await call(options))}`;
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    const details = trailer?.get(statusDetailsKey) as Uint8Array;
    return `${error.code} ${error.details} ${Buffer.from(details).toString("hex")}`;
  }
}

async function learnedByAll(clients: UserClients, groupId: string): Promise<Record<string, string>> {
  const answers: Record<string, string> = {};
  for (const [name, call] of Object.entries(calls))
    answers[name] = await learned((options) => call(clients, groupId, options));
  const stream = clients.stream();
  await stream.open();
  for (const [name, request] of Object.entries(requests)) {
    stream.send(request(groupId) as StreamRequest["request"], name);
    const { status } = await stream.next("refusal", (_, event) => event.requestId === name);
    const details = status?.details.map(
      ({ typeUrl, value }) => `${typeUrl} ${Buffer.from(value).toString("hex")}`,
    );
    answers[`stream ${name}`] = `${status?.code} ${status?.message} ${details}`;
  }
  stream.cancel();
  return answers;
}

describe.each(["INVITE", "CLOSED", "APPROVAL"] as const)("a group with the policy %s", (policy) => {
  test("is to a stranger and a former member what it was before it was made, and is when it is disbanded", async () => {
    const groupId = `hidden-${policy}`;
    const [owner, former, stranger] = await Promise.all(
      ["owner", "former", "stranger"].map((role) => server.login(`${role} of ${policy}`)),
    );
    if (!owner || !former || !stranger) throw new Error("no users");
    const outsiders = [former, stranger];
    const ask = () => Promise.all(outsiders.map((outsider) => learnedByAll(outsider, groupId)));
    const absent = await ask();
    for (const answers of absent) for (const answer of Object.values(answers)) expect(answer).toMatch(/^5 /);
    await owner.groups.createGroup({ groupId, joinPolicy: JoinPolicy[policy], memberIds: [former.userId] });
    await owner.chat.sendGroup({ groupId, content: text("for those who are in") });
    await owner.groups.removeMembers({ groupId, userIds: [former.userId] });
    expect(await ask()).toEqual(absent);
    await owner.groups.updateGroup({ group: { groupId, muted: true }, updateMask: { paths: ["muted"] } });
    expect(await ask()).toEqual(absent);
    await owner.groups.disbandGroup({ groupId });
    expect(await ask()).toEqual(absent);
  });
});

test("where users do not choose ids, CreateGroup answers the same whether an id is taken or not", async () => {
  const careful = await startTestServer({ chosenGroupIds: false });
  try {
    const [owner, stranger] = await Promise.all(["owner", "stranger"].map((name) => careful.login(name)));
    if (!owner || !stranger) throw new Error("no users");
    const made = await owner.groups.createGroup({ name: "a group" });
    const taken = made.group?.groupId ?? "";
    expect(taken).toMatch(/^[0-9a-f-]{36}$/);
    const create = (groupId: string) => (options: CallOptions) =>
      stranger.groups.createGroup({ groupId }, options);
    expect(await failureOf(create(taken))).toMatchObject(invalid("group_id"));
    expect(await learned(create(taken))).toBe(await learned(create(taken.replace(/^./, "z"))));
    // Their own is no exception.
    expect(await learned((options) => owner.groups.createGroup({ groupId: taken }, options))).toBe(
      await learned(create(taken)),
    );
  } finally {
    await careful.close();
  }
});
