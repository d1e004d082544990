/** Connections of one's own to a server by its address, and ways to break them. */

import { createServer, connect as dial, type Socket } from "node:net";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type ChannelOptions, createChannel } from "nice-grpc";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import type { StreamRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { ChatMessage } from "../../gen/parlance/chat/v1/message_pb.js";
import { type Clients, clientOf, clientsOf } from "./clients.ts";
import { eventually } from "./eventually.ts";
import type { TestStream } from "./test-stream.ts";

/** One HTTP/2 connection, shared with nobody, that calls as one user. */
export interface Connection extends Clients {
  health: ReturnType<typeof clientOf<typeof Health>>;
  close: () => void;
}

/** Opens a connection; clients made elsewhere share one for the same address. */
export function connect(address: string, token?: string, options: ChannelOptions = {}): Connection {
  const channel = createChannel(address, undefined, {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 200,
    // Shows a server that is gone at once.
    "grpc.enable_retries": 0,
    ...options,
  });
  const metadata: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return {
    ...clientsOf(channel, metadata),
    health: clientOf(Health, channel, metadata),
    close: () => channel.close(),
  };
}

/** Logs users in on a server and returns their tokens, in order. */
export async function logIn(
  address: string,
  userIds: readonly string[],
  deviceId = "default",
): Promise<string[]> {
  const { chat, close } = connect(address);
  try {
    return await Promise.all(
      userIds.map(async (userId) => {
        const credential = { case: "devUserId" as const, value: userId };
        return (await chat.login({ credential, device: { deviceId } })).sessionToken;
      }),
    );
  } finally {
    close();
  }
}

/** A way to a server that can be cut, as a cable is. */
export interface Cable {
  address: string;
  /** Breaks every connection that goes through it, without a word at the HTTP/2 level. */
  cut: () => void;
  close: () => Promise<void>;
}

/** Lays a cable to a server. */
export async function layCable(target: string): Promise<Cable> {
  const port = Number(target.slice(target.lastIndexOf(":") + 1));
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = dial(port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port: ownPort } = server.address() as { port: number };
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    address: `127.0.0.1:${ownPort}`,
    cut,
    close: () => {
      cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

type Requests = MessageInitShape<typeof StreamRequestSchema>["request"];

/** Sends requests on an open stream, as many at a time as the server takes, and waits until each was answered by `sent`. */
export async function sendAll(stream: TestStream, requests: Iterable<Requests>): Promise<void> {
  const before = stream.all("sent").length;
  let count = 0;
  for (const request of requests) {
    stream.send(request);
    count++;
  }
  let seen = stream.events.length;
  let sent = before;
  await eventually(() => {
    for (; seen < stream.events.length; seen++) {
      const { event } = stream.events[seen] as (typeof stream.events)[number];
      if (event.case === "sent") sent++;
      if (event.case === "refusal") throw new Error(`refused: ${event.value.status?.message}`);
    }
    return sent - before === count;
  });
}

/** Reads all messages of a conversation that the caller may read, page by page. */
export async function listAll(
  { messages }: Pick<Connection, "messages">,
  target: { case: "groupId" | "recipientId"; value: string },
): Promise<ChatMessage[]> {
  const all: ChatMessage[] = [];
  let pageToken = "";
  do {
    const page = await messages.listMessages({ target, pageSize: 1_000, pageToken });
    all.push(...page.messages);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return all;
}

/** The positions of the log events a stream has received, in the order received. */
export function positionsOf(stream: TestStream): number[] {
  return stream.events.flatMap(({ cursor }) => (cursor === undefined ? [] : [Number(cursor.position)]));
}
