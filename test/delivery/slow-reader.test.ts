import { afterEach, expect, test } from "vitest";
import { EventKind } from "../../gen/parlance/chat/v1/event_pb.js";
import { type Connection, connect, logIn, sendAll } from "../support/connect.ts";
import { eventually } from "../support/eventually.ts";
import { openRawStream, type RawPeer } from "../support/raw-peer.ts";
import { randomFor } from "../support/seed.ts";
import { makeDataDir, type ServeChild, startServe } from "../support/serve-child.ts";
import { startTestServer, text, type UserClients } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";

const groupId = "crowd";
const senderCount = 4;
const messages = 5_000;
const megabyte = 2 ** 20;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

interface Crowd {
  serve: ServeChild;
  /** How long what is said is. */
  textBytes: number;
  senders: TestStream[];
  /** Readers that read, and the seqs each has received. */
  readers: { stream: TestStream; connection: Connection }[];
  /** The tokens of the members that will not read. */
  slowTokens: string[];
}

/** Starts a server with a group of senders, two readers and some members who will not read. */
async function gather(slowCount: number, textBytes: number): Promise<Crowd> {
  const data = makeDataDir();
  cleanups.push(data.remove);
  const serve = await startServe(data.path);
  cleanups.push(() => serve.kill());
  const ids = (kind: string, count: number) => Array.from({ length: count }, (_, n) => `${kind}-${n}`);
  const [senderIds, readerIds, slowIds] = [
    ids("sender", senderCount),
    ids("reader", 2),
    ids("slow", slowCount),
  ];
  const tokens = await logIn(serve.address, [...senderIds, ...readerIds, ...slowIds]);
  const open = async (token: string | undefined, options: object) => {
    const connection = connect(serve.address, token);
    cleanups.push(connection.close);
    const stream = connection.stream();
    await stream.open(options);
    return { stream, connection };
  };
  const senders = await Promise.all(
    tokens.slice(0, senderCount).map((token) => open(token, { eventKinds: [EventKind.TYPING] })),
  );
  await senders[0]?.connection.groups.createGroup({
    groupId,
    memberIds: [...senderIds.slice(1), ...readerIds, ...slowIds],
  });
  const readers = await Promise.all(
    tokens.slice(senderCount, senderCount + 2).map((token) => open(token, {})),
  );
  return {
    serve,
    textBytes,
    senders: senders.map(({ stream }) => stream),
    readers,
    slowTokens: tokens.slice(senderCount + 2),
  };
}

/** Has the senders say this many things, as fast as the server takes them. */
async function talk({ senders, textBytes }: Crowd): Promise<void> {
  const value = { groupId, content: text("x".repeat(textBytes)) };
  const requests = Array.from({ length: messages / senders.length }, () => ({
    case: "sendGroup" as const,
    value,
  }));
  await Promise.all(senders.map((stream) => sendAll(stream, requests)));
}

/** The seqs of the messages among events, in the order received. */
function seqsOf(events: TestStream["events"]): number[] {
  return events.flatMap(({ event }) => (event.case === "message" ? [Number(event.value.seq)] : []));
}

/** Seqs from `first`, without gaps. */
function run(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

/** Lets 20,000 messages pass and returns the most memory the server had meanwhile. */
async function peakOfTalk(crowd: Crowd): Promise<number> {
  const { serve } = crowd;
  let peak = serve.residentBytes();
  const watch = setInterval(() => {
    peak = Math.max(peak, serve.residentBytes());
  }, 20);
  try {
    await talk(crowd);
  } finally {
    clearInterval(watch);
  }
  return peak;
}

/**
 * Lets 5,000 messages pass without and 5,000 with slow readers, and returns
 * those and how much more memory the server had at most for their sake.
 */
async function compare(crowd: Crowd): Promise<{ peers: RawPeer[]; growth: number }> {
  const { serve, readers, slowTokens } = crowd;
  const before = await peakOfTalk(crowd);
  const peers = await Promise.all(
    slowTokens.map((token) => openRawStream(serve.address, token, { replayLimit: 0 })),
  );
  for (const peer of peers) cleanups.push(peer.close);
  const growth = (await peakOfTalk(crowd)) - before;
  for (const { stream } of readers) {
    await eventually(() => seqsOf(stream.events).length >= 2 * messages);
    expect(seqsOf(stream.events)).toEqual(run(3, 2 * messages));
  }
  for (const peer of peers) expect(seqsOf(peer.events)).toEqual([]);
  return { peers, growth };
}

/** Reads what waits for a peer that did not read, and checks that it is everything, in order and once. */
async function readAll(peer: RawPeer): Promise<void> {
  peer.read();
  await eventually(() => seqsOf(peer.events).length >= messages);
  const seqs = seqsOf(peer.events);
  expect(seqs).toEqual(run(seqs[0] as number, messages));
  expect(seqs[0]).toBe(3 + messages);
}

test("a peer that never reads costs bounded memory, delays nobody, and gets all 5,000 messages once it reads", async () => {
  // What passes takes 80 MB: far more than may be kept for a reader.
  const crowd = await gather(1, 16_000);
  const { peers, growth } = await compare(crowd);
  process.stderr.write(`one slow reader: the server grew by ${Math.round(growth / megabyte)} MB\n`);
  expect(growth).toBeLessThan(100 * megabyte);
  await readAll(peers[0] as RawPeer);
});

test("20 peers that never read cost bounded memory, delay nobody, and all get everything once they read", async () => {
  // What passes takes 10 MB, for 20 readers 200.
  const crowd = await gather(20, 2_000);
  const { peers, growth } = await compare(crowd);
  process.stderr.write(`20 slow readers: the server grew by ${Math.round(growth / megabyte)} MB\n`);
  expect(growth).toBeLessThan(200 * megabyte);
  for (const peer of peers) await readAll(peer);
});

test("readers that stall at random while much happens, groups of theirs made among it, get all of it in order and once", async () => {
  // Room for some 20 events, so that readers fall behind and get live again many times.
  const server = await startTestServer({ outboxMaxBytes: 5_000 });
  cleanups.push(server.close);
  const random = randomFor("stall");
  const [owner, ...others] = (await Promise.all(
    ["owner", "one", "two", "three"].map((id) => server.login(id)),
  )) as [UserClients, UserClients, UserClients, UserClients];
  const readerIds = others.map(({ userId }) => userId);
  await owner.groups.createGroup({ groupId, memberIds: readerIds });
  const sender = owner.stream();
  await sender.open({ eventKinds: [EventKind.TYPING] });
  const peers = await Promise.all(
    others.map(({ token }) => openRawStream(server.address, token, { replayLimit: 0, autoAck: true })),
  );
  for (const peer of peers) cleanups.push(peer.close);

  let storming = true;
  const stalls = peers.map(async (peer) => {
    while (storming) {
      peer.pause();
      await new Promise((resolve) => setTimeout(resolve, random() * 60));
      peer.read();
      await new Promise((resolve) => setTimeout(resolve, random() * 20));
    }
  });
  const sends = 6_000;
  const made = 40;
  const value = { groupId, content: text("x".repeat(100)) };
  const storm = sendAll(
    sender,
    Array.from({ length: sends }, () => ({ case: "sendGroup" as const, value })),
  );
  for (let n = 0; n < made; n++) {
    await owner.groups.createGroup({ groupId: `made-${n}`, memberIds: readerIds });
    await owner.chat.sendGroup({ groupId: `made-${n}`, content: text("welcome") });
  }
  await storm;
  storming = false;
  await Promise.all(stalls);
  sender.cancel();

  for (const peer of peers) {
    const log = () =>
      peer.events.filter(({ cursor, event }) => cursor !== undefined && "seq" in (event.value ?? {}));
    await eventually(() => log().length >= sends + 3 * made);
    const positions = log().map(({ cursor }) => Number(cursor?.position));
    expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
    const seqs = new Map<string, number[]>();
    for (const { event } of log()) {
      const { conversationId, seq } = event.value as { conversationId: string; seq: bigint };
      seqs.set(conversationId, [...(seqs.get(conversationId) ?? []), Number(seq)]);
    }
    expect(seqs.get(`g:${groupId}`)).toEqual(run(3, sends));
    for (let n = 0; n < made; n++) expect(seqs.get(`g:made-${n}`)).toEqual([1, 2, 3]);
  }
});
