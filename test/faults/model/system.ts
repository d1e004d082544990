import { ClientError, type Metadata } from "nice-grpc";
import type { Conversation } from "../../../gen/parlance/chat/v1/conversation_pb.js";
import { JoinPolicy, Role } from "../../../gen/parlance/chat/v1/group_pb.js";
import type { ChatMessage, SendResult } from "../../../gen/parlance/chat/v1/message_pb.js";
import { type Connection, connect, logIn } from "../../support/connect.ts";
import { describe } from "../clients/raw-client.ts";
import type { FaultServer } from "../server.ts";
import {
  type Answer,
  type ConversationView,
  type GroupView,
  type MemberView,
  type MessageView,
  Mismatch,
  type Operation,
  type Reading,
  type Send,
} from "./operations.ts";
import { Reader, refusalIn } from "./reader.ts";

/** The device through which users call, if not through another. */
export const mainDevice = "phone";

interface Device {
  token: string;
  connection: Connection | undefined;
  readers: Reader[];
}

/** The real side of one run: users who are new to a server that other runs used before. */
export class System {
  readonly server: FaultServer;
  /** How often the server was killed. */
  crashes = 0;
  readonly #devices = new Map<string, Device>();

  constructor(server: FaultServer) {
    this.server = server;
  }

  /** Carries out an operation, sends over the open stream of the main device where `overStream` says so and there is one. */
  async perform(operation: Operation, overStream = false): Promise<Answer> {
    if (overStream && operation.do === "send") {
      const reader = this.lastReader(operation.by, mainDevice);
      if (reader?.reading) return this.#sendOver(reader, operation);
    }
    const { chat, groups, conversations } = await this.#connect(operation.by);
    return answerOf(async (options) => {
      switch (operation.do) {
        case "send": {
          const message = messageOf(operation);
          const { to } = operation;
          const { result } =
            "groupId" in to
              ? await chat.sendGroup({ ...to, ...message }, options)
              : await chat.sendDirect({ ...to, ...message }, options);
          return sentAnswer(result);
        }
        case "mark-read": {
          const { conversationId, upToSeq } = operation;
          const { conversation } = await conversations.markRead(
            { conversationId, upToSeq: BigInt(upToSeq) },
            options,
          );
          return { conversation: view(conversation as Conversation) };
        }
        case "create":
          await groups.createGroup(
            {
              groupId: operation.groupId,
              memberIds: operation.memberIds,
              joinPolicy: operation.open ? JoinPolicy.OPEN : JoinPolicy.INVITE,
              historyForNewMembers: operation.history,
            },
            options,
          );
          break;
        case "join":
          await groups.joinGroup({ groupId: operation.groupId }, options);
          break;
        case "leave":
          await groups.leaveGroup({ groupId: operation.groupId }, options);
          break;
        case "disband":
          await groups.disbandGroup({ groupId: operation.groupId }, options);
          break;
        case "add":
          await groups.addMembers({ groupId: operation.groupId, userIds: operation.userIds }, options);
          break;
        case "remove":
          await groups.removeMembers({ groupId: operation.groupId, userIds: operation.userIds }, options);
      }
      return { done: true };
    });
  }

  /** Begins a stream of a device. Open it then. */
  async stream(userId: string, deviceId: string): Promise<Reader> {
    const { chat } = await this.#connect(userId, deviceId);
    const reader = new Reader(chat);
    this.#device(userId, deviceId).readers.push(reader);
    return reader;
  }

  /** The epoch of the log, as any stream told it. */
  get epoch(): string {
    return this.readers().find(({ epoch }) => epoch !== "")?.epoch ?? "";
  }

  /** All streams of a device so far. */
  readersOf(userId: string, deviceId: string): readonly Reader[] {
    return this.#devices.get(`${userId}/${deviceId}`)?.readers ?? [];
  }

  /** The last stream of a device. */
  lastReader(userId: string, deviceId: string): Reader | undefined {
    return this.readersOf(userId, deviceId).at(-1);
  }

  /** All streams so far. */
  readers(): Reader[] {
    return [...this.#devices.values()].flatMap(({ readers }) => readers);
  }

  /** Acknowledges a position and returns where the device is now. */
  async acknowledge(userId: string, deviceId: string, position: number): Promise<number> {
    const { chat } = await this.#connect(userId, deviceId);
    const { cursor } = await chat.ack({ cursor: { epoch: this.epoch, position: BigInt(position) } });
    return Number(cursor?.position);
  }

  /** Ends the server with SIGKILL whatever is under way, and starts it again. */
  async crash(underWay: readonly Promise<unknown>[]): Promise<void> {
    this.crashes++;
    await this.server.kill();
    await Promise.allSettled([...underWay, ...this.readers().map((reader) => reader.cancel())]);
    // New connections, so that nobody waits for an old one to try again.
    for (const device of this.#devices.values()) {
      device.connection?.close();
      device.connection = undefined;
    }
    await this.server.start();
  }

  /** A user's conversations. */
  async conversationsOf(userId: string): Promise<ConversationView[]> {
    const { conversations } = await this.#connect(userId);
    const listed = await conversations.listConversations({ pageSize: 1_000 });
    return listed.conversations.map(view);
  }

  /** What a user may read of a conversation, or why they may not. */
  async messagesOf({ by, of, pageSize, backwards }: Reading): Promise<MessageView[] | { refused: string }> {
    const { messages } = await this.#connect(by);
    const target =
      "groupId" in of
        ? { case: "groupId" as const, value: of.groupId }
        : { case: "recipientId" as const, value: of.recipientId };
    const pages: ChatMessage[][] = [];
    const refused = await answerOf(async (options) => {
      const bound = backwards ? { beforeSeq: 1_000_000_000n } : {};
      for (let pageToken: string | undefined; pageToken !== ""; ) {
        const page = await messages.listMessages(
          { target, pageSize, ...bound, pageToken: pageToken ?? "" },
          options,
        );
        pages.push(page.messages);
        pageToken = page.nextPageToken;
      }
      return { done: true };
    });
    if ("refused" in refused) return refused;
    return (backwards ? pages.reverse() : pages).flat().map((message) => ({
      seq: Number(message.seq),
      senderId: message.senderId,
      clientMessageId: message.clientMessageId,
      body: message.content?.kind.case === "text" ? message.content.kind.value.body : "",
      messageId: message.messageId,
    }));
  }

  /** The members of a group as a user is shown them, or why they are not. */
  async membersOf(userId: string, groupId: string): Promise<MemberView[] | { refused: string }> {
    const { groups } = await this.#connect(userId);
    let members: MemberView[] = [];
    const refused = await answerOf(async (options) => {
      const listed = await groups.listMembers({ groupId, pageSize: 1_000 }, options);
      members = listed.members.map(({ userId: id, role, visibleFromSeq }) => ({
        userId: id,
        owner: role === Role.OWNER,
        visibleFromSeq: Number(visibleFromSeq),
      }));
      return { done: true };
    });
    return "refused" in refused ? refused : members;
  }

  /** A user's groups. */
  async groupsOf(userId: string): Promise<GroupView[]> {
    const { groups } = await this.#connect(userId);
    const listed = await groups.listMyGroups({ pageSize: 1_000 });
    return listed.groups.map(({ groupId, ownerId, memberCount }) => ({ groupId, ownerId, memberCount }));
  }

  /** Breaks off all streams and connections. */
  async close(): Promise<void> {
    await Promise.all(this.readers().map((reader) => reader.cancel()));
    for (const { connection } of this.#devices.values()) connection?.close();
  }

  async #sendOver(reader: Reader, send: Send): Promise<Answer> {
    const message = messageOf(send);
    const { to } = send;
    const reply = await reader.ask(
      "groupId" in to
        ? { case: "sendGroup", value: { ...to, ...message } }
        : { case: "sendDirect", value: { ...to, ...message } },
    );
    if (reply.case === "sent") return sentAnswer(reply.value);
    const refused = refusalIn(reply);
    if (refused === undefined) throw new Mismatch("I14", `a send was answered with ${reply.case}`);
    return { refused };
  }

  #device(userId: string, deviceId: string): Device {
    const key = `${userId}/${deviceId}`;
    const device = this.#devices.get(key) ?? { token: "", connection: undefined, readers: [] };
    this.#devices.set(key, device);
    return device;
  }

  async #connect(userId: string, deviceId = mainDevice): Promise<Connection> {
    const device = this.#device(userId, deviceId);
    const { address } = this.server;
    // Several operations of a user may come here at once.
    device.token ||= (await logIn(address, [userId], deviceId))[0] as string;
    device.connection ??= connect(address, device.token);
    return device.connection;
  }
}

interface CallOptions {
  onTrailer: (trailer: Metadata) => void;
}

/** Makes a call; a refusal with a reason is an answer, everything else an error. */
async function answerOf(call: (options: CallOptions) => Promise<Answer>): Promise<Answer> {
  let trailer: Metadata | undefined;
  try {
    return await call({
      onTrailer: (metadata) => {
        trailer = metadata;
      },
    });
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    const { reason } = describe(error, trailer);
    if (reason === "") throw error;
    return { refused: reason };
  }
}

function messageOf({ clientMessageId, body }: Send) {
  return { clientMessageId, content: { kind: { case: "text" as const, value: { body } } } };
}

function sentAnswer(result: SendResult | undefined): Answer {
  if (result === undefined) throw new Mismatch("I14", "a send was answered without a result");
  const { conversationId, seq, position, messageId, duplicate } = result;
  return { sent: { conversationId, seq: Number(seq), position: Number(position), messageId, duplicate } };
}

function view({
  conversationId,
  lastSeq,
  readSeq,
  unreadCount,
  lastMessage,
}: Conversation): ConversationView {
  return {
    conversationId,
    lastSeq: Number(lastSeq),
    readSeq: Number(readSeq),
    unreadCount,
    lastMessageSeq: lastMessage && Number(lastMessage.seq),
  };
}
