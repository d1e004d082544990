import { afterAll, expect, test } from "vitest";
import type { Cursor } from "../../gen/parlance/chat/v1/cursor_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import type { SendResult } from "../../gen/parlance/chat/v1/message_pb.js";
import { type Connection, connect, listAll, logIn } from "../support/connect.ts";
import { eventually } from "../support/eventually.ts";
import { randomFor } from "../support/seed.ts";
import { makeDataDir, type ServeChild, startServe } from "../support/serve-child.ts";
import { text } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";

const kills = 8;
const groupId = "storm";
const senderIds = Array.from({ length: 8 }, (_, n) => `sender-${n}`);
const readerIds = ["reader-0", "reader-1", "reader-2"];

const data = makeDataDir();
let serve: ServeChild;
afterAll(async () => {
  await serve?.kill();
  data.remove();
});

/** What a sender was told of one message. */
interface Told {
  body: string;
  to: string;
  /** How often it was sent. */
  tries: number;
  result: SendResult;
}

/** A connection to whichever server runs now. */
class Line {
  readonly #token: string;
  #connection: Connection | undefined;
  #to: ServeChild | undefined;

  constructor(token: string) {
    this.#token = token;
  }

  get(): Connection {
    if (this.#connection === undefined || this.#to !== serve) {
      this.close();
      this.#to = serve;
      this.#connection = connect(serve.address, this.#token);
    }
    return this.#connection;
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}

/** Sends one message after another, each with the same id until it was answered. */
async function send(senderId: string, token: string, goesOn: () => boolean): Promise<Told[]> {
  const line = new Line(token);
  const told: Told[] = [];
  for (let n = 0; goesOn(); n++) {
    const body = `${senderId} says ${n}`;
    const to = n % 3 === 0 ? (readerIds[n % readerIds.length] as string) : groupId;
    const request = { content: text(body), clientMessageId: `message-${n}` };
    for (let tries = 1; ; tries++) {
      const connection = line.get();
      try {
        const { result } =
          to === groupId
            ? await connection.chat.sendGroup({ groupId, ...request })
            : await connection.chat.sendDirect({ recipientId: to, ...request });
        told.push({ body, to, tries, result: result as SendResult });
        break;
      } catch {
        // The server was killed; the outcome is unknown.
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }
  line.close();
  return told;
}

/** Reads, going on after the last event it received, and returns the log events of all its streams in order. */
async function read(token: string, goesOn: () => boolean): Promise<ServerEvent[]> {
  const line = new Line(token);
  const received: ServerEvent[] = [];
  let cursor: Cursor | undefined;
  while (goesOn()) {
    const stream: TestStream = line.get().stream();
    await stream.open({ replayLimit: 10_000, ...(cursor && { resumeFrom: cursor }) }).catch(() => {});
    await Promise.race([stream.ended, eventually(() => !goesOn(), 300_000)]);
    // The last events may still be on their way.
    if (!goesOn()) await finish(stream);
    stream.cancel();
    await stream.ended;
    cursor ??= stream.all("opened")[0]?.cursor;
    const events = stream.events.filter((event) => event.cursor !== undefined);
    cursor = events.at(-1)?.cursor ?? cursor;
    received.push(...events);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  line.close();
  return received;
}

/** Waits for the message that is sent when all is over. */
function finish(stream: TestStream): Promise<unknown> {
  return stream.next("message", ({ senderId }) => senderId === "last");
}

test(`after ${kills} kill -9 in a storm, what was answered is there once, in its place, and readers missed nothing`, async () => {
  const random = randomFor("kill");
  serve = await startServe(data.path);
  const tokens = await logIn(serve.address, [...senderIds, ...readerIds, "last"]);
  const tokenOf = new Map([...senderIds, ...readerIds, "last"].map((id, n) => [id, tokens[n] as string]));
  const owner = connect(serve.address, tokenOf.get("sender-0"));
  await owner.groups.createGroup({ groupId, memberIds: [...senderIds.slice(1), ...readerIds] });
  owner.close();

  let storming = true;
  let reading = true;
  const senders = senderIds.map((id) => send(id, tokenOf.get(id) as string, () => storming));
  const readers = readerIds.map((id) => read(tokenOf.get(id) as string, () => reading));

  try {
    for (let kill = 0; kill < kills; kill++) {
      // A random moment of the storm, from the first answers on.
      await new Promise((resolve) => setTimeout(resolve, random() * 400));
      await serve.kill();
      serve = await startServe(data.path);
    }
  } catch (error) {
    reading = false;
    throw error;
  } finally {
    storming = false;
  }
  const told = await Promise.all(senders);
  const last = connect(serve.address, tokenOf.get("last"));
  for (const recipientId of readerIds) await last.chat.sendDirect({ recipientId, content: text("last") });
  last.close();
  reading = false;
  const received = await Promise.all(readers);

  const all = told.flat();
  const retried = all.filter(({ tries }) => tries > 1);
  const recovered = retried.filter(({ result }) => result.duplicate);
  process.stderr.write(
    `${kills} kills: ${all.length} messages, ${retried.length} retried, ${recovered.length} of them stored before the kill\n`,
  );
  expect(all.length).toBeGreaterThan(kills);
  expect(retried.length).toBeGreaterThan(0);

  // Every conversation, as the history has it.
  const conversations = new Map<string, Told[]>();
  for (const one of all) {
    const { conversationId } = one.result;
    conversations.set(conversationId, [...(conversations.get(conversationId) ?? []), one]);
  }
  for (const [conversationId, told] of conversations) {
    const { to } = told[0] as Told;
    const reader = connect(serve.address, tokenOf.get(to === groupId ? "reader-0" : to));
    const senderId = (told[0] as Told).body.split(" ")[0] as string;
    const listed = await listAll(
      reader,
      to === groupId ? { case: "groupId", value: to } : { case: "recipientId", value: senderId },
    );
    reader.close();
    const first = to === groupId ? 3 : 1;
    expect(
      listed.map(({ seq }) => Number(seq)),
      conversationId,
    ).toEqual(listed.map((_, i) => first + i));
    const answered = told.map(({ body, result }) => ({ seq: result.seq, id: result.messageId, body }));
    answered.sort((a, b) => Number(a.seq - b.seq));
    // Every send was repeated until it was answered, so there is nothing else.
    expect(
      listed.map(({ seq, messageId, content }) => ({
        seq,
        id: messageId,
        body: content?.kind.case === "text" ? content.kind.value.body : undefined,
      })),
      conversationId,
    ).toEqual(answered);
  }

  // Every reader, over all its streams.
  for (const [n, events] of received.entries()) {
    const positions = events.map(({ cursor }) => Number(cursor?.position));
    expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
    const messages = events.flatMap(({ event }) => (event.case === "message" ? [event.value] : []));
    const got = messages.filter(({ senderId }) => senderId !== "last").map(({ messageId }) => messageId);
    const due = all
      .filter(({ to }) => to === groupId || to === readerIds[n])
      .map(({ result }) => result.messageId);
    expect(got.length).toBe(due.length);
    expect(new Set(got)).toEqual(new Set(due));
    const groupSeqs = messages
      .filter(({ target }) => target.case === "groupId")
      .map(({ seq }) => Number(seq));
    expect(groupSeqs).toEqual(groupSeqs.map((_, i) => 3 + i));
  }
});
