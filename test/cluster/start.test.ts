/** How a node starts and ends, with PostgreSQL and NATS that are there, late, or wrong. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.js";
import { ErrorReason } from "../../src/model/errors.ts";
import { directConversationId } from "../../wire/ids.ts";
import { createClock, missingClock } from "../faults/disturb/clock.ts";
import {
  type ClusterNode,
  type ClusterParts,
  createNode,
  describeWithCluster,
  startClusterParts,
} from "../support/cluster.ts";
import { connect, logIn } from "../support/connect.ts";
import { testUnless } from "../support/describe-unless.ts";
import { failureOf } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats.ts";
import { text } from "../support/server.ts";
import { appendUnknownTo } from "../support/unknown-events.ts";

let parts: ClusterParts & { close: () => Promise<void> };
let folder: string;
const cleanups: (() => unknown)[] = [];

/** Prepares a node that is ended with the test. */
async function prepare(
  name: string,
  args: readonly string[] = parts.args,
  env: Readonly<Record<string, string>> = {},
): Promise<ClusterNode> {
  const node = await createNode(name, join(folder, name), args, env);
  cleanups.push(() => node.kill());
  return node;
}

function open(node: ClusterNode) {
  const connection = connect(node.address);
  cleanups.push(connection.close);
  return connection;
}

const login = { credential: { case: "devUserId" as const, value: "alice" } };

/** Waits until a node serves, uses it, and stops it. */
async function expectServing(node: ClusterNode): Promise<void> {
  await eventually(async () => (await open(node).health.check({})).status === ServingStatus.SERVING);
  expect(await logIn(node.address, ["alice"])).toHaveLength(1);
  expect(await node.stop()).toBe(0);
}

/** Waits until a node says in its log that it waits for something, and checks what it answers meanwhile. */
async function expectWaiting(node: ClusterNode, what: string): Promise<void> {
  await eventually(() => node.stderr().includes(what));
  const { chat, health } = open(node);
  expect((await health.check({})).status).toBe(ServingStatus.NOT_SERVING);
  expect((await fetch(`http://${node.httpAddress}/readyz`)).status).toBe(503);
  expect(await failureOf((options) => chat.login(login, options))).toMatchObject({
    code: "UNAVAILABLE",
    reason: ErrorReason.SERVER_STARTING,
  });
  const byHttp = await fetch(`http://${node.httpAddress}/parlance.chat.v1.ChatService/Login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: `{"devUserId":"alice"}`,
  });
  expect({ status: byHttp.status, body: await byHttp.text() }).toEqual({
    status: 503,
    body: expect.stringContaining("SERVER_STARTING"),
  });
}

/** The lines a node that ended has written that are for people. */
function saidBy(node: ClusterNode): string[] {
  return node
    .stderr()
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("{"));
}

describeWithCluster("a node", () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "parlance-start-"));
    parts = await startClusterParts();
  });
  afterEach(async () => {
    for (const clean of cleanups.splice(0).reverse()) await clean();
  });
  afterAll(async () => {
    await parts?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("waits for a database that is not there yet, with its ports open, and then serves", async () => {
    await parts.postgres.stop();
    const node = await prepare("patient");
    node.launch();
    await expectWaiting(node, "waiting for PostgreSQL");
    await parts.postgres.start();
    await expectServing(node);
  });

  test("waits for NATS that is not there yet, and then serves", async () => {
    await parts.nats.kill();
    const node = await prepare("patient");
    node.launch();
    await expectWaiting(node, "NATS");
    await parts.nats.start();
    await expectServing(node);
  });

  test("that is told to stop while it waits ends at once and well", async () => {
    await parts.postgres.stop();
    const node = await prepare("impatient");
    node.launch();
    await eventually(() => node.stderr().includes("waiting for PostgreSQL"));
    expect(await node.stop()).toBe(0);
    await parts.postgres.start();
  });

  test("with a wrong password for the database ends and says so in one line", async () => {
    const url = parts.postgres.urlOf("postgres", "guarded:not-the-password");
    const node = await prepare("wrong", ["--database-url", url]);
    node.launch();
    expect(await node.exited).toBe(1);
    expect(saidBy(node)).toEqual([
      expect.stringMatching(/^parlance: the service cannot start: .*password.*;/),
    ]);
    expect(node.stderr()).not.toContain("not-the-password");
  });

  test("with a wrong token for NATS ends and says so in one line", async () => {
    const nats = await startNatsServer({ config: `authorization { token: "the-token" }` });
    cleanups.push(() => nats.remove());
    const url = nats.url.replace("nats://", "nats://not-the-token@");
    const node = await prepare("wrong", ["--database-url", parts.databaseUrl, "--nats-url", url]);
    node.launch();
    expect(await node.exited).toBe(1);
    expect(saidBy(node)).toEqual([
      expect.stringMatching(/^parlance: the service cannot start: .*credentials.*;/),
    ]);
    expect(node.stderr()).not.toContain("not-the-token");
  });

  test("whose name another one has ends and says so in one line, and the other goes on", async () => {
    const [first, second] = [await prepare("twin"), await prepare("twin")];
    await first.start();
    second.launch();
    expect(await second.exited).toBe(1);
    expect(saidBy(second)).toEqual([
      `parlance: the service cannot start: another node is named twin, at ${first.address}; give each its own name with --node or PARLANCE_NODE`,
    ]);
    expect((await open(first).health.check({})).status).toBe(ServingStatus.SERVING);
  });

  test("whose database is another one all of a sudden drains, and ends so that it is started anew", async () => {
    const databaseUrl = await parts.postgres.createDatabase();
    const node = await prepare("replaced", ["--database-url", databaseUrl, "--nats-url", parts.nats.url]);
    await node.start();
    const [token] = await logIn(node.address, ["alice"]);
    const alice = connect(node.address, token);
    cleanups.push(alice.close);
    const stream = alice.stream();
    await stream.open();
    await parts.postgres.query(databaseUrl, "UPDATE parlance.log_head SET epoch = 'another'");
    // The tail finds out by itself, within a second.
    expect(await node.exited).toBe(75);
    expect(await stream.ended).toBeUndefined();
    expect(stream.all("drain")).toHaveLength(1);
    expect(saidBy(node)).toEqual([
      expect.stringMatching(/^parlance: the database was put back to an earlier state/),
    ]);
  });

  test("to whose database a later release writes drains, ends, and is not to be started there again", async () => {
    const databaseUrl = await parts.postgres.createDatabase();
    const node = await prepare("outdated", ["--database-url", databaseUrl, "--nats-url", parts.nats.url]);
    await node.start();
    const [aliceToken, bobToken] = await logIn(node.address, ["alice", "bob"]);
    const alice = connect(node.address, aliceToken);
    const bob = connect(node.address, bobToken);
    cleanups.push(alice.close, bob.close);
    await alice.chat.sendDirect({ recipientId: "bob", content: text("before") });
    const stream = bob.stream();
    await stream.open();
    await stream.next("caughtUp");
    await parts.postgres.query(databaseUrl, "UPDATE parlance.log_head SET min_release = 1000");
    await appendUnknownTo(parts.postgres, databaseUrl, directConversationId("alice", "bob"));
    // The tail finds out by itself, within a second.
    expect(await node.exited).toBe(75);
    expect(await stream.ended).toBeUndefined();
    expect(stream.all("drain")).toHaveLength(1);
    expect(stream.events.filter(({ cursor, event }) => cursor && event.case === undefined)).toEqual([]);
    const said = "a later release of Parlance writes to the database; start that release here, too";
    expect(saidBy(node)).toEqual([`parlance: ${said}`]);
    node.launch();
    expect(await node.exited).toBe(1);
    expect(saidBy(node)).toEqual([
      expect.stringMatching(
        /a later release of Parlance writes to the schema "parlance"; start that release$/,
      ),
    ]);
  });

  const clockMissing = missingClock();
  if (clockMissing !== undefined && process.env["CI"]) throw new Error(clockMissing);
  testUnless(clockMissing, "whose clock is off says so", async () => {
    const clock = createClock();
    cleanups.push(() => clock.close());
    clock.setOffset("+60s");
    const right = await prepare("right");
    await right.start();
    const fast = await prepare("fast", parts.args, clock.env);
    await fast.start();
    const warnings = () =>
      fast
        .stderr()
        .split("\n")
        .filter((line) => line.includes("clock"))
        .map((line) => JSON.parse(line));
    // A node that does not answer in time is asked again ten seconds later.
    await eventually(() => warnings().length === 2);
    const negative = expect.toSatisfy((ms: number) => ms < -50_000 && ms > -61_000);
    expect(warnings()).toMatchObject([
      { level: "warn", clockOffsetMs: negative },
      { level: "warn", otherNode: "right", clockOffsetMs: negative },
    ]);
  });
});
