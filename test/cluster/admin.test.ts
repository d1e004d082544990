import { spawn } from "node:child_process";
import { text as textOf } from "node:stream/consumers";
import { create } from "@bufbuild/protobuf";
import { createChannel } from "nice-grpc";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.js";
import { AdminService, NodeSchema, NodeState } from "../../gen/parlance/admin/v1/admin_service_pb.js";
import { CloseReason } from "../../gen/parlance/chat/v1/event_pb.js";
import { formatNodes } from "../../src/cli/admin.ts";
import type { Config } from "../../src/config/config.ts";
import { clientOf } from "../support/clients.ts";
import { connect } from "../support/connect.ts";
import { failureOf } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";

let server: TestServer;
afterEach(() => server.close());

/** Starts a node with an admin port, and calls that port. */
async function startNode(overrides: Partial<Config> = {}) {
  server = await startTestServer({ node: "solo", adminPort: 0, ...overrides });
  const address = server.server.adminAddress as string;
  const admin = (metadata: Record<string, string> = {}) => {
    const channel = createChannel(address);
    onTestFinished(() => channel.close());
    return clientOf(AdminService, channel, metadata);
  };
  return { address, admin };
}

/** Runs `parlance` to its end. */
async function run(...args: string[]) {
  const env = { ...process.env, PARLANCE_ADMIN_TOKEN: "" };
  const child = spawn(process.execPath, ["src/main.ts", ...args], { timeout: 120_000, env });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const [stdout, stderr, code] = await Promise.all([textOf(child.stdout), textOf(child.stderr), ended]);
  return { stdout, stderr, code };
}

const token = "a token for operators";

describe("a single node", () => {
  test("lists itself", async () => {
    const { admin } = await startNode();
    const alice = await server.login("alice");
    await Promise.all([alice.stream(), (await server.login("alice", "phone")).stream()].map((s) => s.open()));
    const { nodes } = await admin().listNodes({});
    expect(nodes).toMatchObject([
      {
        name: "solo",
        address: server.address,
        sessions: 2,
        users: 1,
        state: NodeState.SERVING,
        clockOffset: { seconds: 0n, nanos: 0 },
      },
    ]);
  });

  test("that is drained sends its sessions away, takes no new ones, and answers calls", async () => {
    const { admin, address } = await startNode();
    const alice = await server.login("alice");
    const stream = alice.stream();
    await stream.open();
    const health = connect(server.address);
    onTestFinished(health.close);
    const { node } = await admin().drainNode({ nodeName: "solo" });
    expect(node).toMatchObject({ name: "solo", state: NodeState.DRAINING, sessions: 1 });
    expect(await stream.ended).toBeUndefined();
    expect(stream.all("closed")[0]?.reason).toBe(CloseReason.DRAINED);
    const second = alice.stream();
    await second.open().catch(() => {});
    expect(await second.ended).toMatchObject({ code: 14 });
    expect((await health.health.check({})).status).toBe(ServingStatus.NOT_SERVING);
    const { result } = await alice.chat.sendDirect({ recipientId: "bob", content: text("still") });
    expect(result?.seq).toBe(1n);
    expect((await admin().listNodes({})).nodes).toMatchObject([{ state: NodeState.DRAINED, sessions: 0 }]);
    const adminHealth = connect(address);
    onTestFinished(adminHealth.close);
    expect((await adminHealth.health.check({})).status).toBe(ServingStatus.SERVING);
  });

  test("that is drained slowly goes on with those whose turn has not come, until it is told another pace", async () => {
    const { admin } = await startNode();
    const users = await Promise.all(["a", "b", "c", "d", "e"].map((name) => server.login(name)));
    const streams = users.map((user) => user.stream());
    for (const stream of streams) await stream.open();
    await admin().drainNode({ nodeName: "solo", sessionsPerSecond: 1 });
    expect(await Promise.race(streams.map((stream) => stream.ended))).toBeUndefined();
    const left = streams.filter((stream) => stream.all("drain").length === 0);
    expect(left.length).toBeGreaterThan(0);
    await admin().drainNode({ nodeName: "solo", sessionsPerSecond: 0 });
    expect(await Promise.all(streams.map((stream) => stream.ended))).toEqual(streams.map(() => undefined));
  });

  test("that does not exist cannot be drained", async () => {
    const { admin } = await startNode();
    const failure = await failureOf((options) => admin().drainNode({ nodeName: "other" }, options));
    expect(failure).toMatchObject({ code: "NOT_FOUND", reasonName: "NODE_NOT_FOUND" });
    expect((await admin().listNodes({})).nodes).toMatchObject([{ state: NodeState.SERVING }]);
  });

  test.each([
    [{ nodeName: "" }, "node_name"],
    [{ nodeName: "-x" }, "node_name"],
    [{ nodeName: "a".repeat(129) }, "node_name"],
    [{ nodeName: "solo", sessionsPerSecond: -1 }, "sessions_per_second"],
  ])("refuses %j with the field that is wrong", async (request, field) => {
    const { admin } = await startNode();
    const failure = await failureOf((options) => admin().drainNode(request, options));
    expect(failure).toMatchObject({ reasonName: "INVALID_REQUEST", violations: [{ field }] });
  });

  test("serves operators on their own port only, and there nothing else", async () => {
    const { address } = await startNode();
    const [users, operators] = [createChannel(server.address), createChannel(address)];
    onTestFinished(() => {
      users.close();
      operators.close();
    });
    const asUser = await failureOf((options) => clientOf(AdminService, users, {}).listNodes({}, options));
    expect(asUser.code).toBe("UNIMPLEMENTED");
    const { chat } = server.as({}, address);
    const login = { credential: { case: "devUserId" as const, value: "alice" } };
    expect((await failureOf((options) => chat.login(login, options))).code).toBe("UNIMPLEMENTED");
  });
});

describe("an admin port with a token", () => {
  test.each(AdminService.methods.map(({ localName }) => [localName as keyof typeof AdminService.method]))(
    "takes no call of %s without it",
    async (name) => {
      const { admin } = await startNode({ adminToken: token });
      const reason = async (metadata: Record<string, string>) =>
        (await failureOf((options) => admin(metadata)[name]({}, options))).reasonName;
      expect(await reason({})).toBe("MISSING_TOKEN");
      expect(await reason({ authorization: "Bearer another token" })).toBe("INVALID_TOKEN");
      expect(await reason({ authorization: `Basic ${token}` })).toBe("INVALID_TOKEN");
      const alice = await server.login("alice");
      expect(await reason({ authorization: `Bearer ${alice.token}` })).toBe("INVALID_TOKEN");
      expect((await admin({ authorization: `Bearer ${token}` }).listNodes({})).nodes).toMatchObject([
        { state: NodeState.SERVING },
      ]);
    },
  );
});

describe("parlance admin", () => {
  test("lists nodes as a table and as JSON", async () => {
    const { address } = await startNode({ adminToken: token });
    const table = await run("admin", "nodes", "--server", address, "--token", token);
    expect(table.code).toBe(0);
    expect(table.stderr).toMatch(
      /^parlance: warning: other users .* --token; set PARLANCE_ADMIN_TOKEN .*\n$/,
    );
    const [head, row] = table.stdout.split("\n");
    expect(head).toMatch(/^name +address +version +sessions +users +state +uptime +clock$/);
    expect(row).toMatch(/^solo +127\.0\.0\.1:\d+ +\d+\.\d+\.\d+ +0 +0 +serving +\S+ +ok$/);
    const json = await run("admin", "nodes", "--server", address, "--token", token, "--json");
    expect(JSON.parse(json.stdout)).toMatchObject({ nodes: [{ name: "solo", state: "NODE_STATE_SERVING" }] });
  });

  test("drains a node and waits for the end of it", async () => {
    const { address } = await startNode();
    const alice = await server.login("alice");
    const stream = alice.stream();
    await stream.open();
    const { code, stdout, stderr } = await run(
      ...["admin", "drain", "solo", "--wait", "--rate", "0", "--server", address, "--json"],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "draining solo: 1 sessions sent away\n" });
    expect(JSON.parse(stdout)).toMatchObject({
      node: { name: "solo", state: "NODE_STATE_DRAINED", sessions: 0 },
    });
    expect(await stream.ended).toBeUndefined();
    await eventually(() => server.server.stats().sessions === 0);
  });

  test.each([
    ["a wrong token", ["nodes", "--token", "another"], 1, /refuses the token.*PARLANCE_ADMIN_TOKEN/],
    ["an unknown node", ["drain", "other", "--token", token], 1, /no node named other.*admin nodes/],
    ["a bad pace", ["drain", "solo", "--rate", "x"], 2, /--rate is x/],
    ["too many nodes", ["drain", "solo", "other"], 2, /other is one word too many/],
    ["no command", [], 2, /admin does nothing by itself; the commands are nodes, drain/],
    ["a wrong command", ["list"], 2, /list is no command of admin/],
    ["a wrong option", ["nodes", "--wait"], 2, /--wait is no option of admin nodes/],
  ] as const)("says in one line what is wrong with %s", async (_, args, expected, line) => {
    const { address } = await startNode({ adminToken: token });
    const server = args.length > 1 ? ["--server", address] : [];
    const { code, stdout, stderr } = await run("admin", ...args, ...server);
    expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
    const said = stderr.replace(/^parlance: warning: .*--token.*\n/, "");
    expect(said).toMatch(/^parlance: [^\n]*\n$/);
    expect(said).toMatch(line);
  });

  test("says that there is no admin port, and that a user's port is none", async () => {
    await startNode();
    const none = await run("admin", "nodes", "--server", "127.0.0.1:1");
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining("--admin-port") });
    const users = await run("admin", "nodes", "--server", server.address);
    expect(users).toMatchObject({ code: 1, stderr: expect.stringContaining("is no admin port") });
  });
});

test("a table of nodes shows how long they run and how far their clocks are off", async () => {
  server = await startTestServer();
  const seconds = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });
  const node = (name: string, uptime: number, clockOffset: number) =>
    create(NodeSchema, { name, uptime: seconds(uptime), clockOffset: seconds(clockOffset) });
  const lines = formatNodes([node("a", 93_784, 0), node("b", 61, 125), node("c", 0, -7)]).split("\n");
  expect(lines.slice(1).map((line) => line.split(/ {2,}/).slice(-2))).toEqual([
    ["1d 2h", "ok"],
    ["1m 1s", "+2m 5s"],
    ["0ms", "-7s"],
  ]);
});
