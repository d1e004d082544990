import type { CallOptions } from "nice-grpc";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { StreamRequestSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import { createParlance } from "../../src/index.ts";
import { ErrorReason } from "../../src/model/errors.ts";
import { ownRates, requestRates } from "../../src/rpc/rpc-rates.ts";
import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { chatServices } from "../../wire/services.ts";
import { type HttpClients, httpClients } from "../connect/clients.ts";
import { type Failure, failureIn, failureOf } from "../support/errors.ts";
import { makeDataDir } from "../support/serve-child.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(overrides: Parameters<typeof startTestServer>[0]): Promise<TestServer> {
  const server = await startTestServer(overrides);
  closers.push(() => server.close());
  return server;
}

/** Calls until a call is refused, at most a thousand times. */
async function untilRefused(call: (n: number, options: CallOptions) => Promise<unknown>) {
  for (let n = 0; n < 1_000; n++) {
    const outcome: { failure?: Failure } = {};
    await failureOf(async (options) => {
      await call(n, options);
      throw new Answered();
    }).then(
      (failure) => {
        outcome.failure = failure;
      },
      (error: unknown) => {
        if (!(error instanceof Answered)) throw error;
      },
    );
    if (outcome.failure !== undefined) return { answered: n, failure: outcome.failure };
  }
  throw new Error("a thousand calls were answered");
}

class Answered extends Error {}

const limited = (subject: string, description: string, withinMs: number) => ({
  code: "RESOURCE_EXHAUSTED",
  reason: ErrorReason.RATE_LIMITED,
  quota: { subject, description },
  retryAfterMs: expect.toSatisfy((ms: number) => ms > 0 && ms <= withinMs, `a time up to ${withinMs} ms`),
});

test("every limit of an rpc is one of the contract, and every kind of request on a stream has a row", () => {
  const methods = chatServices.flatMap((service) =>
    service.methods.map((method) => `${service.name}.${method.name}`),
  );
  expect(methods).toEqual(expect.arrayContaining(Object.keys(ownRates)));
  const cases = StreamRequestSchema.oneofs[0]?.fields.map(({ localName }) => localName) ?? [];
  expect(Object.keys(requestRates).sort()).toEqual(cases.sort());
});

describe("a call too many is refused with the time until there is room, the limit and whose it is:", () => {
  let server: TestServer;
  beforeAll(async () => {
    const perSecond = {
      maxSendsPerSecond: 1,
      maxReadsPerSecond: 1,
      maxChangesPerSecond: 1,
      maxTypingPerSecond: 1,
    };
    const perMinute = { maxNewDirectsPerMinute: 2, maxNewGroupsPerMinute: 2, maxNewMembersPerMinute: 5 };
    const further = { maxPresenceReadsPerSecond: 1, maxNewStreamsPerSecond: 1 };
    server = await startTestServer({ ...perSecond, ...perMinute, ...further });
  });
  afterAll(() => server.close());
  let conversationId = "";
  async function begin(chat: UserClients["chat"]): Promise<string> {
    const { result } = await chat.sendDirect({ recipientId: "bob", content: text("x") });
    return result?.conversationId ?? "";
  }
  const calls: Record<
    string,
    {
      answered: number;
      says: string;
      withinMs: number;
      call: (user: UserClients, n: number, options: CallOptions) => Promise<unknown>;
    }
  > = {
    sends: {
      answered: 10,
      says: "maxSendsPerSecond: at most 1 messages a second",
      withinMs: 1_000,
      call: ({ chat }, _, options) => chat.sendDirect({ recipientId: "bob", content: text("x") }, options),
    },
    reads: {
      answered: 10,
      says: "maxReadsPerSecond: at most 1 reads a second",
      withinMs: 1_000,
      call: ({ groups }, _, options) => groups.listMyGroups({}, options),
    },
    changes: {
      answered: 10,
      says: "maxChangesPerSecond: at most 1 changes a second",
      withinMs: 1_000,
      call: async ({ conversations, chat }, n, options) => {
        if (n === 0) conversationId = await begin(chat);
        return conversations.markRead({ conversationId, upToSeq: 1n }, options);
      },
    },
    typing: {
      answered: 10,
      says: "maxTypingPerSecond: at most 1 words of typing a second",
      withinMs: 1_000,
      call: ({ chat }, _, options) =>
        chat.setTyping({ target: { case: "recipientId", value: "bob" }, typing: true }, options),
    },
    "presence, by users": {
      answered: 2,
      says: "maxPresenceReadsPerSecond: at most 1 users a second whose presence is asked for",
      withinMs: 5_000,
      call: ({ presence }, _, options) =>
        presence.getPresence({ userIds: ["a", "b", "c", "d", "e"] }, options),
    },
    "new groups": {
      answered: 2,
      says: "maxNewGroupsPerMinute: at most 2 new groups a minute",
      withinMs: 30_000,
      call: ({ groups }, _, options) => groups.createGroup({ name: "x" }, options),
    },
    "new members, by users": {
      answered: 3,
      says: "maxNewMembersPerMinute: at most 5 new members a minute",
      withinMs: 60_000,
      call: ({ groups }, n, options) =>
        n === 0
          ? groups.createGroup({ groupId: "crowd", memberIds: ["bob"] }, options)
          : groups.addMembers({ groupId: "crowd", userIds: [`x${n}`, `y${n}`] }, options),
    },
    "new direct conversations": {
      answered: 2,
      says: "maxNewDirectsPerMinute: at most 2 new direct conversations a minute",
      withinMs: 30_000,
      call: ({ chat }, n, options) =>
        chat.sendDirect({ recipientId: `user-${n}`, content: text("x") }, options),
    },
    "new streams": {
      answered: 10,
      says: "maxNewStreamsPerSecond: at most 1 new streams a second",
      withinMs: 1_000,
      call: async ({ chat }, _, options) => {
        for await (const _event of chat.listen({}, options)) return;
      },
    },
  };

  for (const [name, { answered, says, withinMs, call }] of Object.entries(calls)) {
    test(name, async () => {
      const userId = `user-of-${Object.keys(calls).indexOf(name)}`;
      const user = await server.login(userId);
      const refused = await untilRefused((n, options) => call(user, n, options));
      expect(refused.failure).toMatchObject(limited(`user:${userId}`, says, withinMs));
      // A slow machine gives the bucket time to fill.
      expect(refused.answered).toBeGreaterThanOrEqual(answered);
    });
  }

  test("a limit is the same for streams, unary calls and every protocol, and for all devices of a user", async () => {
    const [phone, laptop] = [await server.login("alice", "phone"), await server.login("alice", "laptop")];
    const stream = phone.stream();
    await stream.open();
    for (let n = 0; n < 30; n++)
      stream.send({ case: "sendDirect", value: { recipientId: "bob", content: text(`${n}`) } }, `${n}`);
    const refusal = await stream.next("refusal");
    const expected = limited("user:alice", "maxSendsPerSecond: at most 1 messages a second", 1_000);
    expect(failureIn(refusal)).toMatchObject(expected);
    await stream.until(() => stream.all("sent").length >= 10);
    const unary = await untilRefused((_, options) =>
      laptop.chat.sendDirect({ recipientId: "bob", content: text("x") }, options),
    );
    expect(unary.failure).toMatchObject(expected);
    const http: HttpClients = httpClients(
      "Connect, JSON, over HTTP/1.1",
      server.server.httpAddress as string,
      {
        authorization: `Bearer ${laptop.token}`,
      },
    );
    closers.push(http.close);
    await expect(async () => {
      for (let n = 0; n < 1_000; n++) await http.chat.sendDirect({ recipientId: "bob", content: text("x") });
    }).rejects.toThrow("maxSendsPerSecond");
  });
});

test("whoever waits as long as they were told is answered", async () => {
  const server = await serve({ maxSendsPerSecond: 2 });
  const { chat } = await server.login("alice");
  const send = (options: CallOptions) => chat.sendDirect({ recipientId: "bob", content: text("x") }, options);
  const { failure } = await untilRefused((_, options) => send(options));
  await new Promise((resolve) => setTimeout(resolve, (failure.retryAfterMs ?? 0) + 5));
  await expect(send({})).resolves.toBeDefined();
});

test("who may begin no more conversations goes on in those that are there, in order", async () => {
  const server = await serve({ maxNewDirectsPerMinute: 1 });
  const alice = await server.login("alice");
  const bob = await server.login("bob");
  const [from, to] = [alice.stream(), bob.stream()];
  await Promise.all([from.open(), to.open()]);
  const send = (recipientId: string, body: string) =>
    from.send({ case: "sendDirect", value: { recipientId, content: text(body) } as never }, body);
  send("bob", "first");
  await from.next("sent");
  for (let n = 0; n < 50; n++) {
    send("bob", `bob ${n}`);
    send(`other ${n}`, `other ${n}`);
  }
  await to.until(() => to.texts().length === 51);
  expect(to.texts().slice(1)).toEqual(Array.from({ length: 50 }, (_, n) => `bob ${n}`));
  await from.next("refusal");
  // Whom others write to has begun nothing.
  await (await server.login("carol")).chat.sendDirect({ recipientId: "alice", content: text("x") });
  send("carol", "answer");
  await from.until(() => from.all("sent").some(({ conversationId }) => conversationId === "d:alice:carol"));
});

test("who sends on and on over a stream is slowed down, and loses nothing but what was refused", async () => {
  const server = await serve({ maxSendsPerSecond: 1, maxInFlight: 5 });
  const alice = await server.login("alice");
  const bob = await server.login("bob");
  const [from, to] = [alice.stream(), bob.stream()];
  await Promise.all([from.open(), to.open()]);
  for (let n = 0; n < 40; n++)
    from.send({ case: "sendDirect", value: { recipientId: "bob", content: text(`${n}`) } }, `${n}`);
  const startMs = performance.now();
  await from.until(() => from.all("sent").length + from.all("refusal").length === 40);
  // After ten at once, five places wait up to a second each for every refusal.
  expect(performance.now() - startMs).toBeGreaterThan(1_000);
  await to.until(() => to.texts().length === from.all("sent").length);
});

test("clients are told how much they may send and read", async () => {
  const server = await serve({ maxSendsPerSecond: 7, maxReadsPerSecond: 0 });
  const alice = await server.login("alice");
  const { limits } = await alice.stream().open();
  expect(limits).toMatchObject({ maxSendsPerSecond: 7 });
  expect(limits?.maxReadsPerSecond).toBeUndefined();
});

test("what the host itself sends and asks in process is not counted", async () => {
  const data = makeDataDir();
  closers.push(data.remove);
  const store = await createSqliteStore({ path: `${data.path}/chat.db` });
  closers.push(() => store.close());
  const limits = { maxSendsPerSecond: 1, maxNewDirectsPerMinute: 1, maxReadsPerSecond: 1 };
  const parlance = await createParlance({ store, auth: "dev", limits });
  closers.push(() => parlance.close());
  for (let n = 0; n < 50; n++)
    await parlance.chat.sendDirect("shop", { recipientId: `user-${n}`, content: text("hello") });
  for (let n = 0; n < 50; n++) await parlance.chat.as("shop").groups.listMyGroups({});
});
