import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createChannel, createClient, createServer, Metadata } from "nice-grpc";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ChatService } from "../gen/parlance/chat/v1/chat_service_pb.js";
import { GroupService } from "../gen/parlance/chat/v1/group_service_pb.js";
import { settings } from "../src/config/settings.ts";
import { createParlance, createSqliteStore, type Store } from "../src/index.ts";
import { createLogger } from "../src/telemetry/logger.ts";
import { toDefinition } from "../wire/definition.ts";
import { failureIn, failureOf } from "./support/errors.ts";
import { eventually } from "./support/eventually.ts";
import { startTestServer, type TestServer, text } from "./support/server.ts";
import { TestStream } from "./support/test-stream.ts";

type Line = Record<string, unknown>;

describe("the log of calls", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.close());

  const callsOf = (method: string, userId: string): Line[] =>
    server.logs.filter(
      (line) => line.msg === "call" && line.user === userId && String(line.method).endsWith(`/${method}`),
    );

  test("has one line a call, with method, code, duration, user and session", async () => {
    const { chat, sessionId } = await server.login("ann");
    for (let n = 0; n < 3; n++) await chat.sendDirect({ recipientId: "bob", content: text("hi") });
    const lines = callsOf("SendDirect", "ann");
    expect(lines).toHaveLength(3);
    for (const line of lines) {
      expect(line).toEqual({
        level: "info",
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        method: "parlance.chat.v1.ChatService/SendDirect",
        code: "OK",
        ms: expect.any(Number),
        user: "ann",
        session: sessionId,
        peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        msg: "call",
      });
      expect(line.ms).toBeGreaterThan(0);
      expect(line.ms).toBeLessThan(10_000);
    }
  });

  test("has a line for a refused call, with the reason", async () => {
    const { groups } = await server.login("ann");
    await failureOf((options) => groups.leaveGroup({ groupId: "none" }, options));
    expect(callsOf("LeaveGroup", "ann")).toMatchObject([
      { level: "info", code: "NOT_FOUND", reason: "GROUP_NOT_FOUND" },
    ]);
  });

  test("has a line for a call by nobody, without a user", async () => {
    const { groups } = server.as({});
    await failureOf((options) => groups.joinGroup({ groupId: "none" }, options));
    const lines = server.logs.filter(({ method }) => String(method).endsWith("/JoinGroup"));
    expect(lines).toMatchObject([{ code: "UNAUTHENTICATED", reason: "MISSING_TOKEN" }]);
    expect(lines[0]).not.toHaveProperty("user");
    expect(lines[0]).not.toHaveProperty("session");
  });

  test("has a line for each stream, once it is over, that names its session", async () => {
    const { stream } = await server.login("cat");
    const [ended, cancelled] = [stream(), stream()];
    const { sessionId } = await ended.open();
    expect(callsOf("Stream", "cat")).toEqual([]);
    ended.halfClose();
    expect(await ended.ended).toBeUndefined();
    const second = await cancelled.open();
    cancelled.cancel();
    await eventually(() => callsOf("Stream", "cat").length === 2);
    expect(callsOf("Stream", "cat")).toMatchObject([
      { code: "OK", stream: sessionId },
      { code: "CANCELLED", stream: second.sessionId },
    ]);
  });

  test("has only calls that failed by default, and none if that is what is asked for", async () => {
    for (const [logCalls, expected] of [
      [settings.logCalls.default, ["LeaveGroup"]],
      ["none", []],
    ] as const) {
      const quiet = await startTestServer({ logCalls });
      onTestFinished(() => quiet.close());
      const { chat, groups, stream } = await quiet.login("ann");
      await chat.sendDirect({ recipientId: "bob", content: text("hi") });
      const cancelled = stream();
      await cancelled.open();
      cancelled.cancel();
      await failureOf((options) => groups.leaveGroup({ groupId: "none" }, options));
      await eventually(() => quiet.server.stats().calls === 0);
      // What is over after all that is logged after all that.
      const ended = stream();
      await ended.open();
      ended.halfClose();
      await ended.ended;
      const methods = quiet.logs.filter(({ msg }) => msg === "call").map(({ method }) => String(method));
      expect(methods.map((method) => method.split("/")[1])).toEqual(expected);
    }
  });

  test("holds nothing of what people say or prove themselves with", async () => {
    const { chat, groups, stream, token } = await server.login("dan");
    const canary = "a canary that must not get out";
    const content = { ...text(canary), fallbackText: canary };
    await chat.sendDirect({ recipientId: "eve", content, options: { labels: { [canary]: canary } } });
    await groups.createGroup({ groupId: "canaries", name: canary, attributes: { a: canary } });
    const open = stream();
    await open.open();
    open.send({ case: "sendGroup", value: { groupId: "canaries", content } }, "1");
    open.send({ case: "sendGroup", value: { groupId: "none", content } }, "2");
    await open.next("sent");
    await open.next("refusal");
    await failureOf((options) => chat.sendDirect({ recipientId: canary.repeat(9), content }, options));
    open.cancel();
    await eventually(() => callsOf("Stream", "dan").length === 1);
    const log = JSON.stringify(server.logs);
    expect(log).toContain('"dan"');
    expect(log).not.toContain("canary");
    expect(log).not.toContain(token.slice(9));
  });
});

describe("an error that nobody foresaw", () => {
  /** What went wrong below; none of it may get out. */
  const inside = "SQLITE_SECRET: no such table: passwords";
  const folder = mkdtempSync(join(tmpdir(), "parlance-calls-log-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Starts a host whose store fails where it is told to, and returns clients of it and its log. */
  async function failing(methods: readonly (keyof Store)[]) {
    const real = await createSqliteStore({ path: join(folder, `${methods}.db`) });
    const store = new Proxy(real, {
      get: (target, name) =>
        methods.includes(name as keyof Store)
          ? () => Promise.reject(new Error(inside))
          : Reflect.get(target, name, target),
    });
    const logs: Line[] = [];
    const logger = createLogger({ logLevel: "info" }, { write: (line) => void logs.push(JSON.parse(line)) });
    const parlance = await createParlance({ store, auth: "dev", logger });
    const server = createServer(parlance.serverOptions);
    parlance.mount(server);
    const channel = createChannel(`127.0.0.1:${await server.listen("127.0.0.1:0")}`);
    onTestFinished(async () => {
      channel.close();
      server.forceShutdown();
      await parlance.close();
      await real.close();
    });
    const chat = createClient(toDefinition(ChatService), channel);
    const groups = createClient(toDefinition(GroupService), channel);
    const loggedIn = async () => {
      const { sessionToken } = await chat.login({ credential: { case: "devUserId", value: "ann" } });
      return { metadata: Metadata({ authorization: `Bearer ${sessionToken}` }) };
    };
    return { chat, groups, loggedIn, logs, parlance };
  }

  const unexpected = (logs: readonly Line[]) => logs.filter(({ level }) => level === "error");

  test("is INTERNAL with an error_id that finds it in the log, and nothing of its text", async () => {
    const { groups, loggedIn, logs } = await failing(["change"]);
    const options = await loggedIn();
    const failure = await failureOf((more) => groups.createGroup({ groupId: "g" }, { ...options, ...more }));
    expect(failure).toEqual({
      code: "INTERNAL",
      message: expect.stringContaining(failure.metadata.error_id ?? "?"),
      reason: 0,
      reasonName: "UNSPECIFIED",
      metadata: { error_id: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      violations: [],
      retryAfterMs: undefined,
      quota: undefined,
    });
    expect(JSON.stringify(failure)).not.toMatch(/sqlite|table|passwords|\.ts/i);
    const lines = unexpected(logs);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      method: "parlance.chat.v1.GroupService/CreateGroup",
      code: "INTERNAL",
      user: "ann",
      errorId: failure.metadata.error_id,
      err: { message: inside, stack: expect.stringContaining("calls-log.test.ts") },
    });
    expect(logs.filter(({ method }) => String(method).endsWith("/CreateGroup"))).toHaveLength(1);
  });

  test("on a stream refuses the one request, and the stream goes on", async () => {
    const { chat, loggedIn, logs } = await failing(["append"]);
    const options = await loggedIn();
    const stream = new TestStream((requests, signal) => chat.stream(requests, { ...options, signal }));
    await stream.open();
    const value = { recipientId: "bob", content: text("hi") };
    stream.send({ case: "sendDirect", value }, "s").send({ case: "ping", value: {} }, "p");
    const failure = failureIn(await stream.next("refusal"));
    await stream.next("pong");
    expect(failure).toMatchObject({ code: "INTERNAL", reasonName: "UNSPECIFIED" });
    expect(JSON.stringify(failure)).not.toContain("SQLITE");
    expect(unexpected(logs)).toMatchObject([
      { errorId: failure.metadata.error_id, err: { message: inside } },
    ]);
    stream.cancel();
  });

  test("ends a stream that cannot open without it", async () => {
    const { chat, loggedIn, logs, parlance } = await failing(["openDevice"]);
    const options = await loggedIn();
    const failure = await failureOf((more) => chat.listen({}, { ...options, ...more }));
    expect(failure).toMatchObject({ code: "INTERNAL", reasonName: "UNSPECIFIED" });
    expect(JSON.stringify(failure)).not.toContain("SQLITE");
    expect(unexpected(logs)).toMatchObject([
      { errorId: failure.metadata.error_id, err: { message: inside } },
    ]);
    expect(parlance.chat.stats().sessions).toBe(0);
  });

  test("of what tells who calls is INTERNAL too, not a wrong token", async () => {
    const { groups, logs } = await failing(["findSession"]);
    const metadata = Metadata({ authorization: "Bearer parlance_unknown" });
    const failure = await failureOf((options) => groups.listMyGroups({}, { ...options, metadata }));
    expect(failure.code).toBe("INTERNAL");
    expect(unexpected(logs)).toMatchObject([{ errorId: failure.metadata.error_id, code: "INTERNAL" }]);
  });

  test("in the background is logged and stops nothing", async () => {
    const { chat, loggedIn, logs } = await failing(["readTail", "setLastActive", "saveCursors"]);
    const options = await loggedIn();
    await eventually(() => logs.some(({ level }) => level === "warn"));
    expect(logs.find(({ level }) => level === "warn")).toMatchObject({ err: { message: inside } });
    const { result } = await chat.sendDirect({ recipientId: "bob", content: text("hi") }, options);
    expect(result?.seq).toBe(1n);
  });
});
