/** A scripted chat, made by any client, and what it answers: the same whatever the protocol. */

import type { Message } from "@bufbuild/protobuf";
import { anyPack, TimestampSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import { JoinPolicy, Role } from "../../gen/parlance/chat/v1/group_pb.js";
import type { Failure } from "../support/errors.ts";
import { text } from "../support/server.ts";
import type { HttpClients } from "./clients.ts";

/** A client of any protocol: its services, and how its errors are read. */
export interface Caller {
  as: (headers: Record<string, string>) => Omit<HttpClients, "close">;
  failureOf: (call: (options: object) => unknown) => Promise<Failure>;
}

/** Makes the calls, one after another, and returns what each answered, without what no two runs have in common. */
export async function runScript({ as, failureOf }: Caller): Promise<unknown[]> {
  const answers: unknown[] = [];
  const note = async (answer: Message | Promise<Message>) => answers.push(plain(await answer));
  const fail = async (call: (options: object) => unknown) => {
    const { message: _, ...failure } = await failureOf(call);
    answers.push(plain(failure));
  };
  const logIn = async (userId: string) => {
    const { chat } = as({});
    const answer = await chat.login({ credential: { case: "devUserId", value: userId } });
    answers.push(plain(answer));
    return { authorization: `Bearer ${answer.sessionToken}` };
  };

  const adas = await logIn("ada");
  const [ada, ben, nobody] = [as(adas), as(await logIn("ben")), as({})];
  // What is asked for.
  await note(ada.chat.sendDirect({ recipientId: "ben", content: text("Hello 👋"), clientMessageId: "1" }));
  await note(ada.chat.sendDirect({ recipientId: "ben", content: text("Hello 👋"), clientMessageId: "1" }));
  const custom = anyPack(TimestampSchema, timestampFromMs(1_800_000_000_000));
  await note(
    ben.chat.sendDirect({
      recipientId: "ada",
      content: { kind: { case: "custom", value: custom }, fallbackText: "An order" },
      options: { labels: { "a b": "ü" } },
    }),
  );
  await note(
    ada.groups.createGroup({
      groupId: "g",
      name: "<b>G</b>",
      memberIds: ["ben"],
      joinPolicy: JoinPolicy.OPEN,
    }),
  );
  await note(ben.chat.sendGroup({ groupId: "g", content: text("\u001b[31mred\u001b[0m") }));
  await note(
    ada.groups.updateMember({
      member: { groupId: "g", userId: "ben", role: Role.ADMIN },
      updateMask: { paths: ["role"] },
    }),
  );
  await note(ada.groups.listMembers({ groupId: "g", pageSize: 1 }));
  await note(ben.conversations.listConversations({}));
  await note(ben.conversations.markRead({ conversationId: "d:ada:ben", upToSeq: 1n }));
  await note(ada.messages.listMessages({ target: { case: "recipientId", value: "ben" } }));
  await note(ada.presence.getPresence({ userIds: ["ben"] }));
  answers.push(...(await listened(ben)));
  // What is refused.
  await fail((options) => nobody.chat.sendDirect({ recipientId: "ben", content: text("x") }, options));
  await fail((options) => as({ authorization: "Basic x" }).presence.getPresence({}, options));
  await fail((options) => as({ authorization: "Bearer x" }).chat.ack({}, options));
  await fail((options) => ada.chat.sendDirect({ recipientId: "", content: text("") }, options));
  await fail((options) => ada.chat.sendDirect({ recipientId: "ada", content: text("x") }, options));
  await fail((options) =>
    ada.chat.sendDirect({ recipientId: "ben", content: text("other"), clientMessageId: "1" }, options),
  );
  await fail((options) => ada.chat.sendGroup({ groupId: "none", content: text("x") }, options));
  await fail((options) => ben.groups.disbandGroup({ groupId: "g" }, options));
  await fail((options) => ada.groups.leaveGroup({ groupId: "g" }, options));
  await fail((options) =>
    ada.messages.listMessages({ pageToken: "x", target: { case: "groupId", value: "g" } }, options),
  );
  await fail((options) =>
    ada.chat.listen({ open: { resumeFrom: { epoch: "other", position: 1n } } }, options),
  );
  await fail((options) =>
    ada.chat.sendDirect({ recipientId: "ben", content: text("x".repeat(140_000)) }, options),
  );
  await note(ada.chat.logout({ allDevices: true }));
  await fail((options) => ada.chat.logout({}, options));
  return answers;
}

/** The events of a `Listen` up to `caught_up`. */
async function listened({ chat }: Pick<HttpClients, "chat">): Promise<unknown[]> {
  const abort = new AbortController();
  const events: ServerEvent[] = [];
  try {
    for await (const response of chat.listen({}, { signal: abort.signal })) {
      events.push(...response.events);
      if (events.some(({ event }) => event.case === "caughtUp")) abort.abort();
    }
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  }
  return events.map(plain);
}

/** Leaves out what differs from run to run. */
function plain(message: object): unknown {
  return JSON.parse(JSON.stringify(message, replace));
}

const varying = new Set(["sessionToken", "sessionId", "messageId", "epoch", "nextPageToken", "$unknown"]);

function replace(key: string, value: unknown): unknown {
  if (varying.has(key)) return typeof value === "string" ? value.length > 0 : undefined;
  if (key.endsWith("Time") && typeof value === "object" && value !== null) return "a time";
  if (typeof value === "bigint") return `${value}n`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return value;
}
