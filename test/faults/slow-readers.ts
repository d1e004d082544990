/** Readers that do not read, and the load that passes by them. */

import { Metadata } from "nice-grpc";
import { v7 as uuidv7 } from "uuid";
import { connect, logIn } from "../support/connect.ts";
import { eventually } from "../support/eventually.ts";
import { openRawStream, type RawPeer } from "../support/raw-peer.ts";
import type { Violation } from "./checker/violation.ts";
import { RawClient } from "./clients/raw-client.ts";
import type { FaultContext } from "./context.ts";
import type { Operation } from "./history.ts";
import type { FaultServer } from "./server.ts";
import { bodyMarker } from "./storm.ts";

/** Opens streams with HTTP/2 peers that stop reading once the stream is open: no byte more leaves the server. */
export async function openStalled(
  context: FaultContext,
  address: string,
  userIds: readonly string[],
): Promise<RawPeer[]> {
  const tokens = await logIn(address, userIds);
  const peers: RawPeer[] = [];
  for (const token of tokens) {
    const peer = await openRawStream(address, token);
    context.defer(() => peer.close());
    peers.push(peer);
  }
  return peers;
}

/**
 * Opens a `Listen` for each user, waits until it is open and reads on.
 *
 * @returns what breaks each of them off
 */
export async function openListeners(
  context: FaultContext,
  address: string,
  userIds: readonly string[],
): Promise<(() => void)[]> {
  const tokens = await logIn(address, userIds);
  return Promise.all(
    tokens.map(async (token) => {
      const connection = connect(address, token);
      context.defer(connection.close);
      const abort = new AbortController();
      const responses = connection.chat.listen({}, { signal: abort.signal })[Symbol.asyncIterator]();
      await responses.next();
      void (async () => {
        while (!(await responses.next()).done);
      })().catch(() => {});
      return () => abort.abort();
    }),
  );
}

/**
 * Has users listen, 50 over a connection, and counts the messages they get.
 *
 * @returns how many came so far, of all users together
 */
export async function countMessages(
  context: FaultContext,
  address: string,
  userIds: readonly string[],
): Promise<() => number> {
  const perConnection = 50;
  let count = 0;
  for (let n = 0; n < userIds.length; n += perConnection) {
    const tokens = await logIn(address, userIds.slice(n, n + perConnection));
    const connection = connect(address);
    context.defer(connection.close);
    await Promise.all(
      tokens.map(async (token) => {
        const metadata = Metadata({ authorization: `Bearer ${token}` });
        const responses = connection.chat.listen({}, { metadata })[Symbol.asyncIterator]();
        await responses.next();
        void (async () => {
          for (let next = await responses.next(); !next.done; next = await responses.next()) {
            for (const { event } of next.value.events) if (event.case === "message") count++;
          }
        })().catch(() => {});
      }),
    );
  }
  return () => count;
}

/** Sends many messages, some hundred at a time, and resolves once all were answered. */
export async function sendMany(
  sender: RawClient,
  to: (Operation & { f: "send" })["to"],
  count: number,
  bodyBytes: number,
): Promise<void> {
  const filler = "x".repeat(bodyBytes);
  let left = count;
  async function sendOn(): Promise<void> {
    while (left-- > 0)
      await sender.perform({ f: "send", to, clientMessageId: uuidv7(), body: `${bodyMarker} ${filler}` });
  }
  await Promise.all(Array.from({ length: 200 }, sendOn));
}

/** Makes a client that sends. */
export async function startSender(
  context: FaultContext,
  address: string,
  userId: string,
): Promise<RawClient> {
  const sender = new RawClient({ address, userId, random: context.random });
  context.defer(() => sender.close());
  await sender.start();
  return sender;
}

/** The most memory a server had while something ran, in bytes, looked at ten times a second. */
export async function peakMemory(server: FaultServer, run: () => Promise<unknown>): Promise<number> {
  let peak = server.residentBytes();
  const timer = setInterval(() => {
    peak = Math.max(peak, server.residentBytes());
  }, 100);
  try {
    await run();
  } finally {
    clearInterval(timer);
  }
  return peak;
}

/**
 * Lets a stalled reader read on, and checks that it gets everything it missed:
 * each message once, in order.
 */
export async function readOn(
  peer: RawPeer,
  count: number,
  who: string,
  timeoutMs: number,
): Promise<Violation[]> {
  peer.read();
  const messages = () => peer.events.filter(({ event }) => event.case === "message");
  await eventually(() => messages().length >= count, timeoutMs).catch(() => {});
  const positions = messages().map(({ cursor }) => Number(cursor?.position));
  const violations: Violation[] = [];
  if (positions.length !== count)
    violations.push({ rule: "I12", text: `${who} got ${positions.length} of ${count} messages` });
  if (positions.some((position, i) => i > 0 && position <= (positions[i - 1] as number)))
    violations.push({ rule: "I5", text: `${who} got positions that do not rise` });
  return violations;
}
