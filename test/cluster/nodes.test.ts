/** What nodes know of each other, over a real NATS server. */

import { randomUUID } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import type { Bus } from "../../src/bus/bus.ts";
import { createLocalBus } from "../../src/bus/local.ts";
import { createNatsBus } from "../../src/bus/nats/nats-bus.ts";
import { hostNodeName } from "../../src/cluster/node-name.ts";
import { joinNodes, NodeNameTaken, type NodeState, type Nodes } from "../../src/cluster/nodes.ts";
import { describeWithCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats.ts";
import { testEpoch } from "../support/test-epoch.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

const silent = { info() {}, warn() {}, error() {} };

async function startNats(): Promise<NatsServer> {
  const nats = await startNatsServer();
  cleanups.push(() => nats.remove());
  return nats;
}

/** Lets a node join, with a connection of its own. */
async function join(nats: NatsServer, name: string, state: Partial<NodeState> = {}) {
  const bus = await createNatsBus({ store: testEpoch, url: nats.url, log: silent });
  cleanups.push(() => bus.close());
  const node = joinOn(bus, name, state);
  // The server takes what comes on one connection in order: it answers this after it knows where to reach the node.
  await bus.request("nobody", { type: "nodeQuery" }, { maxMs: 1_000 });
  return node;
}

function joinOn(bus: Bus, name: string, state: Partial<NodeState> = {}) {
  const drains: number[] = [];
  const taken: NodeNameTaken[] = [];
  const now = { address: `${name}:50051`, sessions: 0, users: 0, draining: false, ...state };
  const nodes: Nodes = joinNodes({
    bus,
    name,
    instanceId: randomUUID(),
    version: "1.2.3",
    state: () => now,
    onDrain: (sessionsPerSecond) => {
      drains.push(sessionsPerSecond);
      now.draining = true;
    },
    onNameTaken: (error) => taken.push(error),
    log: silent,
  });
  cleanups.push(() => nodes.close());
  return { bus, nodes, drains, taken };
}

const namesOf = async (nodes: Nodes) => (await nodes.list()).map(({ name }) => name);

describeWithCluster("nodes", () => {
  test("all list the same, by name, until one is gone", async () => {
    const nats = await startNats();
    const [b, a, c] = [
      await join(nats, "b", { sessions: 3, users: 2 }),
      await join(nats, "a"),
      await join(nats, "c"),
    ];
    for (const { nodes } of [a, b, c]) expect(await namesOf(nodes)).toEqual(["a", "b", "c"]);
    expect((await a.nodes.list())[1]).toMatchObject({
      name: "b",
      address: "b:50051",
      version: "1.2.3",
      sessions: 3,
      users: 2,
      draining: false,
      clockOffsetMs: 0,
    });
    await c.bus.close();
    expect(await namesOf(a.nodes)).toEqual(["a", "b"]);
  });

  test("any has any drained, itself too, and learns that there is none of a name", async () => {
    const nats = await startNats();
    const [a, b] = [await join(nats, "a"), await join(nats, "b")];
    expect(await a.nodes.drain("b", 7)).toMatchObject({ name: "b", draining: true });
    expect(await a.nodes.drain("a", 0)).toMatchObject({ name: "a", draining: true });
    expect([a.drains, b.drains]).toEqual([[0], [7]]);
    expect(await a.nodes.drain("c", 0)).toBeUndefined();
    expect((await b.nodes.list()).map(({ draining }) => draining)).toEqual([true, true]);
  });

  test("the later one of a name is told so, the earlier one is not", async () => {
    const nats = await startNats();
    const first = await join(nats, "same");
    await first.nodes.claimName();
    const second = await join(nats, "same");
    await expect(second.nodes.claimName()).rejects.toThrow(NodeNameTaken);
    await expect(second.nodes.claimName()).rejects.toThrow(
      "another node is named same, at same:50051; give each its own name with --node or PARLANCE_NODE",
    );
    await first.nodes.claimName();
  });

  test("of two of a name that start at the same time, one goes on", async () => {
    const nats = await startNats();
    const both = await Promise.all([join(nats, "same"), join(nats, "same")]);
    const claims = await Promise.allSettled(both.map(({ nodes }) => nodes.claimName()));
    expect(claims.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("one that joined while the bus was cut off is found out when it is back", async () => {
    const nats = await startNats();
    const first = await join(nats, "same");
    const lateBus = await createNatsBus({ store: testEpoch, url: nats.url, log: silent });
    cleanups.push(() => lateBus.close());
    await nats.kill();
    await eventually(() => !lateBus.connected);
    const second = joinOn(lateBus, "same");
    // Nobody can be asked.
    await second.nodes.claimName();
    await nats.start();
    await eventually(() => second.taken.length > 0);
    expect(second.taken[0]).toBeInstanceOf(NodeNameTaken);
    expect(first.taken).toEqual([]);
  });
});

test("a node without others lists itself and can be drained", async () => {
  const { nodes, drains } = joinOn(createLocalBus(), "solo");
  await nodes.claimName();
  expect(await namesOf(nodes)).toEqual(["solo"]);
  expect(await nodes.drain("solo", 5)).toMatchObject({ draining: true });
  expect(await nodes.drain("other", 5)).toBeUndefined();
  expect(drains).toEqual([5]);
});

test.each([
  ["host-1.example.org", "host-1.example.org"],
  ["-my host_", "my-host"],
  ["München", "M-nchen"],
  ["...", "node"],
])("a node on the host %s is named %s", (host, name) => {
  expect(hostNodeName(host)).toBe(name);
});
