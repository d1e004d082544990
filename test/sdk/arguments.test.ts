import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  connect,
  ErrorReason,
  type ParlanceClient,
  ParlanceError,
  Status,
} from "../../clients/typescript/index.ts";
import type { RunningServer } from "../../src/host/server.ts";
import { seed } from "../support/seed.ts";
import { serve, temporaryFolder } from "./server.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: RunningServer;
let alice: ParlanceClient;
const unhandled: unknown[] = [];
const note = (reason: unknown) => void unhandled.push(reason);

beforeAll(async () => {
  process.on("unhandledRejection", note);
  folder = await temporaryFolder();
  server = await serve(folder.path);
  alice = await connect({ address: server.address, credentials: { devUserId: "alice" } });
});

afterAll(async () => {
  await alice.close();
  await server.close();
  await folder.remove();
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

/** Calls, and returns what it failed with, thrown or rejected. */
async function failureOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** What TypeScript does not let through, and JavaScript does. */
const any = (value: unknown) => value as never;

test.each([
  ["a number", 5],
  ["a boolean", true],
  ["a bigint", 5n],
  ["a function", () => "text"],
  ["null", null],
  ["a list", ["text"]],
  ["an unknown kind", { kind: { case: "song", value: {} } }],
  ["a text that is none", { kind: { case: "text", value: { body: 5 } } }],
  ["half of a surrogate pair", "\ud83d"],
])("content that is %s fails that send alone, naming it", async (_, content) => {
  const [error, sent] = await Promise.all([
    failureOf(() => alice.sendDirect("bob", any(content))),
    alice.sendDirect("bob", "beside it"),
  ]);
  expect(error).toMatchObject({
    name: "ParlanceError",
    code: Status.INVALID_ARGUMENT,
    reason: ErrorReason.INVALID_REQUEST,
    violations: [{ field: expect.stringMatching(/content/) }],
  });
  expect(sent.duplicate).toBe(false);
  expect(alice.stats.reconnects).toBe(0);
});

test("B11: ids that UTF-8 cannot express are refused instead of turned into another's", async () => {
  const ids = ["bob\ud800", "bob\udc00"];
  const calls: [string, (id: string) => unknown][] = [
    ["recipient_id", (id) => alice.sendDirect(id, "hello")],
    ["group_id", (id) => alice.sendGroup(id, "hello")],
    ["client_message_id", (id) => alice.sendDirect("bob", "hello", { clientMessageId: id })],
    ["recipient_id", (id) => alice.setTyping({ recipientId: id }, true)],
    ["user_ids[0]", (id) => alice.watchPresence([id])],
    ["conversation_id", (id) => alice.markRead(id, 1n)],
    ["group_id", (id) => alice.groups.createGroup({ groupId: id })],
    ["member_ids[1]", (id) => alice.groups.createGroup({ groupId: "g", memberIds: ["bob", id] })],
    ["attributes", (id) => alice.groups.createGroup({ groupId: "g", attributes: { [id]: "x" } })],
    ["target", (id) => alice.messages.listMessages({ target: any({ case: id, value: "x" }) })],
  ];
  for (const [field, call] of calls) {
    for (const id of ids) {
      expect(await failureOf(() => call(id))).toMatchObject({
        reason: ErrorReason.INVALID_REQUEST,
        violations: [{ field: expect.stringContaining(field) }],
      });
    }
  }
  for (const id of ids) {
    const login = connect({ address: server.address, credentials: { devUserId: id } });
    expect(await failureOf(() => login)).toMatchObject({ violations: [{ field: "dev_user_id" }] });
  }
});

test("a request larger than a stream takes fails alone", async () => {
  const id = "x".repeat(300_000);
  const [error, sent] = await Promise.all([
    failureOf(() => alice.sendDirect(id, "hello")),
    alice.sendDirect("bob", "beside it"),
  ]);
  expect(error).toMatchObject({ reason: ErrorReason.REQUEST_TOO_LARGE });
  expect(sent.duplicate).toBe(false);
  expect(alice.stats.reconnects).toBe(0);
});

test("a request that ends every stream fails alone in the end", async () => {
  const limits = { maxContentBytes: "20000", maxRequestBytes: "60000" };
  const small = await serve(`${folder.path}/small`, limits);
  const client = await connect({ address: small.address, credentials: { devUserId: "alice" } });
  const [error, sent] = await Promise.all([
    failureOf(() => client.sendDirect("y".repeat(80_000), "hello")),
    client.sendDirect("bob", "beside it"),
  ]);
  expect(error).toBeInstanceOf(ParlanceError);
  expect(sent.seq).toBe(1n);
  expect(client.stats.reconnects).toBeLessThan(4);
  await client.close();
  await small.close();
});

const throwing = () => {
  throw new Error("a getter that throws");
};
const cycle: Record<string, unknown> = { kind: { case: "text" } };
cycle.value = cycle;

const then = "then";

/** Whatever JavaScript can pass; as functions, since fast-check itself would trip over some of it. */
const anything = fc.oneof(
  fc
    .anything({ withBigInt: true, withDate: true, withNullPrototype: true, withTypedArray: true })
    .map((value) => () => value),
  fc.string({ unit: "binary" }).map((value) => () => value),
  fc.constantFrom<() => unknown>(
    () => undefined,
    () => null,
    () => Symbol("a symbol"),
    () => () => 5,
    () => class {},
    () => cycle,
    () => Object.defineProperty({}, "kind", { get: throwing, enumerable: true }),
    () => Object.defineProperty({}, then, { get: throwing }),
    () => new Proxy({}, { get: throwing, has: throwing, ownKeys: throwing }),
    () => ({ toString: throwing, valueOf: throwing, [Symbol.toPrimitive]: throwing }),
    () => ({ [Symbol.iterator]: throwing }),
    () => ({ [Symbol.asyncIterator]: throwing }),
    () => "x".repeat(300_000),
    () => "\ud800",
    () => Promise.resolve("x"),
    () => -1,
    () => Number.NaN,
    () => 2 ** 53,
    () => 2n ** 80n,
  ),
);

/** The calls of a client, each with as many of these arguments as it takes. */
const calls: ((client: ParlanceClient, a: unknown, b: unknown, c: unknown) => unknown)[] = [
  (client, a, b, c) => client.sendDirect(any(a), any(b), any(c)),
  (client, a, b) => client.sendGroup(any(a), any(b)),
  (client, a) => client.sendDirect("bob", any(a)),
  (client, a) => client.sendDirect("bob", any({ kind: a })),
  (client, a) => client.sendDirect("bob", any({ kind: { case: "text", value: a } })),
  (client, a) => client.sendDirect("bob", any({ kind: { case: "custom", value: { typeUrl: a, value: a } } })),
  (client, a, b) => client.sendDirect("bob", "hello", any({ clientMessageId: a, replyToMessageId: b })),
  (client, a) => client.sendDirect("bob", "hello", any(a)),
  (client, a, b) => client.setTyping(any(a), any(b)),
  (client, a) => client.setTyping(any({ recipientId: a }), true),
  (client, a) => client.watchPresence(any(a)),
  (client, a) => client.watchPresence(any([a])),
  (client, a, b) => client.markRead(any(a), any(b)),
  (client, a) => client.ack(any(a)),
  (client, a, b) => client.ack(any({ epoch: a, position: b })),
  (client, a) => client.onState(any(a))(),
  (client, a, b) => client.groups.createGroup(any(a), any(b)),
  (client, a, b) => client.groups.createGroup(any({ groupId: a, attributes: b })),
  (client, a, b) => client.messages.listMessages(any({ target: a, afterTime: b })),
  (client, a, b) => client.conversations.listConversations(any({ pageSize: a, pageToken: b })),
  (client, a) => client.presence.getPresence(any({ userIds: a })),
];

test("whatever a call is given, it fails or does what it says, and no other call waits or fails for it", async () => {
  const client = await connect({
    address: server.address,
    credentials: { devUserId: "fuzz" },
    ack: "manual",
    deadlineMs: 20_000,
  });
  const states: string[] = [];
  client.onState((state) => states.push(state));
  let n = 0;
  await fc.assert(
    fc.asyncProperty(fc.nat(calls.length - 1), anything, anything, anything, async (which, a, b, c) => {
      const [error, sent] = await Promise.all([
        failureOf(() => calls[which]?.(client, a(), b(), c())),
        client.sendDirect("carol", `beside ${++n}`),
      ]);
      if (error !== undefined) expect(error).toBeInstanceOf(ParlanceError);
      expect(sent.seq).toBe(BigInt(n));
    }),
    { seed: seed(), numRuns: 200 },
  );
  expect(states).toEqual([]);
  expect(client.stats.reconnects).toBe(0);
  await client.close();
});
