/** What a client does with a server from its login to its end, on one connection and without a second try. */

import { createChannel } from "nice-grpc";
import { v7 as uuidv7 } from "uuid";
import type { Cursor } from "../../gen/parlance/chat/v1/cursor_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import type { SendResult } from "../../gen/parlance/chat/v1/message_pb.js";
import { type Clients, clientsOf } from "../support/clients.ts";
import { text } from "../support/server.ts";
import { TestStream } from "../support/test-stream.ts";
import { History } from "./history.ts";
import { bodyMarker } from "./storm.ts";

/** The longest that a login may take, on a busy machine. */
const loginMs = 30_000;
/** How much is done at a time. */
const lanes = 8;

/** The one message that a user sends, in however many tries, and what they know of it. */
export interface Letter {
  readonly history: History;
  readonly recipientId: string;
  readonly clientMessageId: string;
  readonly body: string;
  tries: number;
  answered: boolean;
}

/** Logs in, opens a `Stream`, sends over it, receives the message, acknowledges it and closes. */
export function exchangeOverStream(address: string, letter: Letter): Promise<void> {
  return onConnection(address, letter.history.userId, async (clients, opened) => {
    const stream = opened(clients.stream());
    await stream.open();
    await stream.next("caughtUp");
    await attempt(letter, () => {
      stream.send({ case: "sendDirect", value: requestOf(letter) }, "send");
      return stream.next("sent");
    });
    stream.send({ case: "ack", value: await receivedBy(stream) }, "ack");
    await stream.next("done");
    stream.halfClose();
    await stream.ended;
  });
}

/** Does the same with `Listen` and unary calls. */
export function exchangeByCalls(address: string, letter: Letter): Promise<void> {
  return onConnection(address, letter.history.userId, async (clients, opened) => {
    const stream = opened(listen(clients));
    await stream.next("caughtUp");
    await attempt(
      letter,
      async () => (await clients.chat.sendDirect(requestOf(letter))).result as SendResult,
    );
    await clients.chat.ack(await receivedBy(stream));
  });
}

/** Reads all a user's unread messages by `Listen`. Each time it is another device, to which nothing was delivered yet. */
export function catchUp(address: string, userId: string): Promise<void> {
  return onConnection(
    address,
    userId,
    async (clients, opened) => void (await opened(listen(clients)).next("caughtUp")),
    uuidv7(),
  );
}

function listen({ chat }: Clients): TestStream {
  return new TestStream((_, signal) => chat.listen({ open: {} }, { signal }));
}

/** Waits for the message, and returns the acknowledgement of it. */
async function receivedBy(stream: TestStream): Promise<{ cursor?: Cursor }> {
  await stream.next("message");
  const { cursor } = stream.events.find(({ event }) => event.case === "message") as ServerEvent;
  return cursor === undefined ? {} : { cursor };
}

/** Logs in and does something, all on one connection, which is closed in the end with the stream that was opened. */
async function onConnection(
  address: string,
  userId: string,
  use: (clients: Clients, opened: (stream: TestStream) => TestStream) => Promise<void>,
  deviceId = "default",
): Promise<void> {
  // Another try would be another cut.
  const channel = createChannel(address, undefined, {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_retries": 0,
  });
  const streams: TestStream[] = [];
  try {
    await use(await logIn(channel, userId, deviceId), (stream) => {
      streams.push(stream);
      return stream;
    });
  } finally {
    for (const stream of streams) stream.cancel();
    channel.close();
  }
}

/** Sends letters, or sends them again, and waits for the answers. */
export async function sendAll(address: string, letters: readonly Letter[]): Promise<void> {
  const channel = createChannel(address);
  try {
    await inLanes([...letters], async (letter) => {
      const { chat } = await logIn(channel, letter.history.userId, "default");
      await attempt(letter, async () => (await chat.sendDirect(requestOf(letter))).result as SendResult);
    });
  } finally {
    channel.close();
  }
}

async function logIn(
  channel: ReturnType<typeof createChannel>,
  userId: string,
  deviceId: string,
): Promise<Clients> {
  const { chat } = clientsOf(channel, {});
  const { sessionToken } = await chat.login(
    { credential: { case: "devUserId", value: userId }, device: { deviceId } },
    { signal: AbortSignal.timeout(loginMs) },
  );
  return clientsOf(channel, { authorization: `Bearer ${sessionToken}` });
}

/** Notes one try to send a letter. Of one without an answer it is left open what became of it. */
async function attempt(letter: Letter, send: () => Promise<SendResult>): Promise<void> {
  const { history, recipientId, clientMessageId, body } = letter;
  const op = ++letter.tries;
  const operation = { f: "send" as const, to: { recipientId }, clientMessageId, body };
  history.add({ type: "invoke", op, operation });
  const { conversationId, seq, position, messageId, duplicate } = await send();
  letter.answered = true;
  const place = { seq: Number(seq), position: Number(position) };
  history.add({ type: "ok", op, conversationId, ...place, messageId, duplicate });
}

function requestOf({ recipientId, clientMessageId, body }: Letter) {
  return { recipientId, content: text(body), clientMessageId };
}

/** Writes a letter of a user of its own. Letters are as long as each other, so that their exchanges are, too. */
export function newLetter(n: number, recipientId: string, bytes = 0): Letter {
  const clientMessageId = uuidv7();
  return {
    history: new History("raw", `writer-${String(n).padStart(6, "0")}`, "default"),
    recipientId,
    clientMessageId,
    body: `${bodyMarker} ${clientMessageId} ${"x".repeat(bytes)}`,
    tries: 0,
    answered: false,
  };
}

/** Works through a list, some at a time. */
export async function inLanes<T>(list: T[], work: (item: T) => Promise<void>): Promise<void> {
  const lane = async () => {
    for (let item = list.shift(); item !== undefined; item = list.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
