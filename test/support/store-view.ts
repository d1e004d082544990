import {
  create,
  createRegistry,
  type DescMessage,
  type JsonValue,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import { ConversationSchema } from "../../gen/parlance/chat/v1/conversation_pb.js";
import { CursorSchema } from "../../gen/parlance/chat/v1/cursor_pb.js";
import { ServerEventSchema } from "../../gen/parlance/chat/v1/event_pb.js";
import { GroupSchema, MemberSchema } from "../../gen/parlance/chat/v1/group_pb.js";
import { ChatMessageSchema } from "../../gen/parlance/chat/v1/message_pb.js";
import { PresenceSchema } from "../../gen/parlance/chat/v1/presence_pb.js";
import { eventually } from "./eventually.ts";
import type { TestServer, UserClients } from "./server.ts";

/** A user and their devices, by their ids. */
export interface UserDevices {
  userId: string;
  deviceIds: readonly string[];
}

/**
 * Returns everything users get to see of a store through the API: presence,
 * conversations, histories, groups with members, where their devices have got
 * to, and each event of the log that is theirs. Opens streams on all devices.
 */
export async function viewStore(server: TestServer, users: readonly UserDevices[]): Promise<JsonValue> {
  // Before anyone is seen to be active.
  const observer = await server.login("observer");
  const { presences } = await observer.presence.getPresence({ userIds: users.map(({ userId }) => userId) });
  const views: JsonValue[] = [];
  for (const userDevices of users) {
    const { userId } = userDevices;
    const user = await server.login(userId, "viewer");
    const { conversations } = await user.conversations.listConversations({ pageSize: 100 });
    const { groups } = await user.groups.listMyGroups({ pageSize: 100 });
    views.push({
      userId,
      conversations: json(ConversationSchema, conversations),
      histories: await Promise.all(
        conversations.map(({ conversationId }) => historyOf(user, conversationId)),
      ),
      groups: json(GroupSchema, groups),
      members: await Promise.all(groups.map(({ groupId }) => membersOf(user, groupId))),
      devices: await devicesOf(server, userDevices),
      events: await eventsOf(user),
    });
  }
  return { presences: json(PresenceSchema, presences), users: views };
}

async function historyOf(user: UserClients, conversationId: string): Promise<JsonValue> {
  const target = { case: "conversationId" as const, value: conversationId };
  const { messages } = await user.messages.listMessages({ target, afterSeq: 0n, pageSize: 200 });
  return json(ChatMessageSchema, messages);
}

async function membersOf(user: UserClients, groupId: string): Promise<JsonValue> {
  return json(MemberSchema, (await user.groups.listMembers({ groupId, pageSize: 100 })).members);
}

async function devicesOf(server: TestServer, { userId, deviceIds }: UserDevices): Promise<JsonValue> {
  const devices: JsonValue[] = [];
  for (const deviceId of deviceIds) {
    const user = await server.login(userId, deviceId);
    const presenceOf = async () => (await user.presence.getPresence({ userIds: [userId] })).presences[0];
    await eventually(async () => (await presenceOf())?.online === false);
    const stream = user.stream();
    const { cursor, resumed } = await stream.open();
    const { platforms = [] } = (await presenceOf()) ?? {};
    stream.cancel();
    devices.push({ deviceId, resumed, cursor: json(CursorSchema, cursor ? [cursor] : []), platforms });
  }
  return devices;
}

/**
 * Everything in the log that is the user's, from its beginning on. Without what
 * an event says of its place: releases of before did not tell it there.
 */
async function eventsOf(user: UserClients): Promise<JsonValue> {
  const first = user.stream();
  const epoch = (await first.open()).cursor?.epoch ?? "";
  first.cancel();
  await first.ended;
  const stream = user.stream();
  await stream.open({ resumeFrom: { epoch, position: 0n }, replayLimit: 10_000 });
  await stream.next("caughtUp");
  stream.cancel();
  return json(
    ServerEventSchema,
    stream.events
      .filter(({ event }) => event.case !== "opened")
      .map(({ requestId, cursor, event }) =>
        create(ServerEventSchema, { requestId, event, ...(cursor && { cursor }) }),
      ),
  );
}

/** What the custom contents of fixtures are. */
const customContents = createRegistry(StringValueSchema);

function json<Desc extends DescMessage>(schema: Desc, messages: readonly MessageShape<Desc>[]): JsonValue {
  return messages.map((message) => toJson(schema, message, { registry: customContents }));
}
