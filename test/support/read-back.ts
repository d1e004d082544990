/**
 * Reads back what was answered OK, in every format and by every way there is
 * to read, and compares. Needs a server in `dev` mode with both ports, and
 * nothing of the test runner.
 */

import { create, equals, fromJsonString, type MessageInitShape } from "@bufbuild/protobuf";
import { createChannel } from "nice-grpc";
import {
  ListenResponseSchema,
  type SendDirectRequestSchema,
  type SendGroupRequestSchema,
} from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import {
  type ChatMessage,
  ChatMessageSchema,
  type SendResult,
} from "../../gen/parlance/chat/v1/message_pb.js";
import { fromJsonForm, jsonOptions } from "../../src/rpc/connect/json.ts";
import { jsonSchemaOf } from "../../src/rpc/connect/json-schemas.ts";
import { httpClients } from "../connect/clients.ts";
import { clientsOf } from "./clients.ts";

/** Where a server is. */
export interface Ports {
  /** Host and port of gRPC. */
  grpc: string;
  /** Host and port of HTTP. */
  http: string;
}

/** A message that was sent and answered OK. */
export interface Accepted {
  /** What every reader has to get. */
  message: ChatMessage;
  position: bigint;
}

/** What of a message was not read back as it was sent. */
export interface Unreadable {
  /** The format and the call, such as `JSON lines, Listen`. */
  where: string;
  messageId: string;
  /** What was read, or the error. */
  found: unknown;
}

/** Says what readers have to get of a request that was answered OK. */
export function accepted(
  senderId: string,
  request:
    | ({ recipientId: string } & MessageInitShape<typeof SendDirectRequestSchema>)
    | ({ groupId: string } & MessageInitShape<typeof SendGroupRequestSchema>),
  result: SendResult | undefined,
): Accepted {
  if (result === undefined) throw new Error("the answer to a send has no result");
  const { messageId, conversationId, seq, acceptTime, clientMessageId, position } = result;
  const { content, options = {} } = request;
  const message = create(ChatMessageSchema, {
    messageId,
    conversationId,
    seq,
    senderId,
    target:
      "recipientId" in request
        ? { case: "recipientId", value: request.recipientId }
        : { case: "groupId", value: request.groupId },
    clientMessageId,
    replyToMessageId: options.replyToMessageId?.toLowerCase() ?? "",
    mentionUserIds: options.mentionUserIds ?? [],
    mentionAll: options.mentionAll ?? false,
    labels: options.labels ?? {},
    silent: options.silent ?? false,
    ...(acceptTime && { acceptTime }),
    ...(content && { content }),
  });
  return { message, position };
}

/** What every format can be asked. */
type Reader = Pick<ReturnType<typeof clientsOf>, "messages" | "conversations"> & {
  listen: (open: object, signal: AbortSignal) => AsyncIterable<{ events: ServerEvent[] }>;
};

/**
 * Has a user who may read all of these messages read them through gRPC, Connect,
 * gRPC-Web and JSON: by `ListMessages`, `GetMessage`, `ListConversations` and
 * `Listen`. Uses devices of its own.
 *
 * @returns what differs; nothing when all is well
 */
export async function readBack(
  { grpc, http }: Ports,
  userId: string,
  sent: readonly Accepted[],
): Promise<Unreadable[]> {
  const channel = createChannel(grpc);
  const closers: (() => void)[] = [() => channel.close()];
  const logIn = async (deviceId: string) => {
    const credential = { case: "devUserId" as const, value: userId };
    const { sessionToken } = await clientsOf(channel, {}).chat.login({ credential, device: { deviceId } });
    return { authorization: `Bearer ${sessionToken}` };
  };
  const readers: Record<string, (headers: Record<string, string>) => Partial<Reader>> = {
    gRPC: (headers) => {
      const { messages, conversations, chat } = clientsOf(channel, headers);
      return { messages, conversations, listen: (open, signal) => chat.listen({ open }, { signal }) };
    },
    "JSON lines": (headers) => ({ listen: (open, signal) => jsonLines(http, headers, open, signal) }),
  };
  for (const way of [
    "gRPC-Web over HTTP/1.1",
    "Connect over HTTP/2",
    "Connect, JSON, over HTTP/1.1",
  ] as const) {
    readers[way] = (headers) => {
      const clients = httpClients(way, http, headers);
      closers.push(clients.close);
      const { messages, conversations, chat } = clients as unknown as ReturnType<typeof clientsOf>;
      return { messages, conversations, listen: (open, signal) => chat.listen({ open }, { signal }) };
    };
  }
  try {
    const found: Unreadable[] = [];
    for (const [format, readerOf] of Object.entries(readers)) {
      const reader = readerOf(await logIn(`read back by ${format.replaceAll("/", " ")}`));
      for (const [name, read] of Object.entries(calls)) {
        found.push(...(await compare(`${format}, ${name}`, sent, () => read(reader, sent))));
      }
    }
    return found;
  } finally {
    for (const close of closers) close();
  }
}

/** Reads messages by one call; those that the call cannot show may be left out. */
type Read = (reader: Partial<Reader>, sent: readonly Accepted[]) => Promise<Found>;

interface Found {
  messages: Iterable<ChatMessage>;
  /** Whether all of them have to be there. */
  all: boolean;
}

const nothing: Found = { messages: [], all: false };

const calls: Record<string, Read> = {
  async ListMessages({ messages }, sent) {
    if (messages === undefined) return nothing;
    const read: ChatMessage[] = [];
    for (const conversationId of new Set(sent.map(({ message }) => message.conversationId))) {
      let pageToken = "";
      do {
        const target = { case: "conversationId" as const, value: conversationId };
        const page = await messages.listMessages({ target, pageSize: 1_000, pageToken });
        read.push(...page.messages);
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
    }
    return { messages: read, all: true };
  },
  async GetMessage({ messages }, sent) {
    if (messages === undefined) return nothing;
    const read: ChatMessage[] = [];
    for (const { message } of sent) {
      const answer = await messages.getMessage({ messageId: message.messageId });
      if (answer.message !== undefined) read.push(answer.message);
    }
    return { messages: read, all: true };
  },
  async ListConversations({ conversations }) {
    if (conversations === undefined) return nothing;
    const read: ChatMessage[] = [];
    let pageToken = "";
    do {
      const page = await conversations.listConversations({ pageSize: 1_000, pageToken });
      for (const { lastMessage } of page.conversations) if (lastMessage) read.push(lastMessage);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return { messages: read, all: false };
  },
  async Listen({ listen }, sent) {
    if (listen === undefined || sent.length === 0) return nothing;
    const read: ChatMessage[] = [];
    const [first = 1n] = sent.map(({ position }) => position).sort((a, b) => Number(a - b));
    const epoch = await epochOf(listen);
    const open = { resumeFrom: { epoch, position: first - 1n }, replayLimit: 10_000 };
    await until(listen, open, ({ event }) => {
      if (event.case === "message") read.push(event.value);
      if (event.case === "behind") throw new Error("more was sent than is replayed");
      return event.case === "caughtUp";
    });
    return { messages: read, all: true };
  },
};

async function epochOf(listen: Reader["listen"]): Promise<string> {
  let epoch = "";
  await until(listen, {}, ({ event }) => {
    if (event.case !== "opened") return false;
    epoch = event.value.cursor?.epoch ?? "";
    return true;
  });
  return epoch;
}

/** Listens until an event is the last one wanted. */
async function until(
  listen: Reader["listen"],
  open: object,
  isLast: (event: ServerEvent) => boolean,
): Promise<void> {
  const abort = new AbortController();
  try {
    for await (const { events } of listen(open, abort.signal)) if (events.some(isLast)) return;
    throw new Error("the stream ended early");
  } finally {
    abort.abort();
  }
}

async function compare(
  where: string,
  sent: readonly Accepted[],
  read: () => Promise<Found>,
): Promise<Unreadable[]> {
  let found: Found;
  try {
    found = await read();
  } catch (error) {
    return sent.map(({ message }) => ({ where, messageId: message.messageId, found: error }));
  }
  const byId = new Map([...found.messages].map((message) => [message.messageId, message]));
  return sent.flatMap(({ message }): Unreadable[] => {
    const { messageId } = message;
    const other = byId.get(messageId);
    if (other === undefined) return found.all ? [{ where, messageId, found: other }] : [];
    return equals(ChatMessageSchema, message, other) ? [] : [{ where, messageId, found: other }];
  });
}

/** Listens as `curl` does. */
async function* jsonLines(
  http: string,
  headers: Record<string, string>,
  open: { resumeFrom?: { epoch: string; position: bigint } },
  signal: AbortSignal,
): AsyncGenerator<{ events: ServerEvent[] }> {
  const schema = jsonSchemaOf(ListenResponseSchema);
  const response = await fetch(`http://${http}/parlance.chat.v1.ChatService/Listen`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ open }, (_, value) => (typeof value === "bigint" ? String(value) : value)),
    signal,
  });
  if (response.body === null) return;
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (text + chunk).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith('{"error"')) throw new Error(line);
      const message = fromJsonString(schema, line, jsonOptions);
      yield fromJsonForm(schema, message) as unknown as { events: ServerEvent[] };
    }
  }
}
