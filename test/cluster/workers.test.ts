/** Several processes that serve one port. */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createChannel } from "nice-grpc";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { AdminService, type Node } from "../../gen/parlance/admin/v1/admin_service_pb.js";
import { clientOf } from "../support/clients.ts";
import {
  type ClusterNode,
  type ClusterParts,
  createNode,
  describeWithCluster,
  startClusterParts,
} from "../support/cluster.ts";
import { connect, logIn } from "../support/connect.ts";
import { eventually } from "../support/eventually.ts";
import { text } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";

let parts: ClusterParts & { close: () => Promise<void> };
let folder: string;
const cleanups: (() => unknown)[] = [];

async function startWorkers(count: string, args: readonly string[] = []): Promise<ClusterNode> {
  const service = await createNode("all", folder, [...parts.args, "--workers", count, ...args]);
  cleanups.push(() => service.kill());
  await service.start();
  return service;
}

async function listNodes(service: ClusterNode): Promise<Node[]> {
  const channel = createChannel(service.adminAddress);
  try {
    return (await clientOf(AdminService, channel, {}).listNodes({})).nodes;
  } finally {
    channel.close();
  }
}

/** Opens a stream on a connection of its own. */
async function openStream(service: ClusterNode, userId: string): Promise<TestStream> {
  const [token] = await logIn(service.address, [userId]);
  const connection = connect(service.address, token);
  cleanups.push(connection.close);
  const stream = connection.stream();
  await stream.open();
  return stream;
}

/** The process ids of the workers of a service, by the name of their node. */
function workersOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => parentOf(name) === pid)
    .map(Number);
}

function parentOf(pid: string): number | undefined {
  try {
    return Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "latin1"))?.[1]);
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

describeWithCluster("workers", () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "parlance-workers-"));
    parts = await startClusterParts();
  });
  afterEach(async () => {
    for (const clean of cleanups.splice(0).reverse()) await clean();
  });
  afterAll(async () => {
    await parts?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("share a port, are nodes of their own, and reach each other's users", async () => {
    const service = await startWorkers("3");
    const streams: TestStream[] = [];
    for (let i = 0; i < 9; i++) streams.push(await openStream(service, `user-${i}`));
    const nodes = await listNodes(service);
    expect(nodes.map(({ name, address }) => [name, address])).toEqual(
      [1, 2, 3].map((number) => [`all-${number}`, service.address]),
    );
    const sessions = nodes.map((node) => node.sessions);
    expect(sessions.reduce((sum, each) => sum + each)).toBe(9);
    expect(Math.min(...sessions)).toBeGreaterThan(0);
    for (const [i, stream] of streams.entries()) {
      stream.send({
        case: "sendDirect",
        value: { recipientId: `user-${(i + 1) % 9}`, content: text("hi") },
      });
    }
    for (const stream of streams) await eventually(() => stream.all("message").length === 2);
    const web = await fetch(`http://${service.httpAddress}/readyz`);
    expect(web.status).toBe(200);

    const ends = Promise.all(streams.map((stream) => stream.ended));
    expect(await service.stop()).toBe(0);
    expect(await ends).toEqual(streams.map(() => undefined));
    for (const stream of streams) expect(stream.all("drain")).toHaveLength(1);
  });

  test("that die are started anew, while the others serve", async () => {
    const service = await startWorkers("2");
    const before = await listNodes(service);
    const pids = workersOf(service.pid);
    expect(pids).toHaveLength(2);
    process.kill(pids[1] as number, "SIGKILL");
    await eventually(() => service.stderr().includes("worker ended; starting it anew"));
    expect(await logIn(service.address, ["alice"])).toHaveLength(1);
    await eventually(async () => {
      const nodes = await listNodes(service).catch(() => []);
      const isNew = (node: Node) => before.every(({ instanceId }) => instanceId !== node.instanceId);
      return nodes.length === 2 && nodes.filter(isNew).length === 1;
    });
    expect((await listNodes(service)).map(({ name }) => name)).toEqual(["all-1", "all-2"]);
    expect(await service.stop()).toBe(0);
  });

  test("end with the process that started them, however that ends", async () => {
    const service = await startWorkers("2");
    const pids = workersOf(service.pid);
    await service.kill();
    const lives = (pid: number) => parentOf(String(pid)) !== undefined;
    await eventually(() => !pids.some(lives));
  });

  test("that cannot start say so once, and end the service with their exit code", async () => {
    const url = parts.postgres.urlOf("postgres", "guarded:wrong");
    const service = await createNode("all", folder, [
      ...["--database-url", url, "--nats-url", parts.nats.url, "--workers", "3"],
    ]);
    service.launch();
    expect(await service.exited).toBe(1);
    const lines = service
      .stderr()
      .split("\n")
      .filter((line) => line.startsWith("parlance:"));
    expect(lines).toEqual([expect.stringContaining("password")]);
  });

  test("end well when they are stopped while they wait", async () => {
    await parts.postgres.stop();
    const service = await createNode("all", folder, [...parts.args, "--workers", "2"]);
    service.launch();
    await eventually(() => service.stderr().includes("waiting for PostgreSQL"));
    expect(await service.stop()).toBe(0);
    await parts.postgres.start();
  });
});
