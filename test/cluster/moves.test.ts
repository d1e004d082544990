/** Nodes that are drained, stopped and started one after another, under clients that have all their addresses. */

import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type ClientEvent,
  connect,
  createTransport,
  type ParlanceClient,
  type Transport,
} from "../../clients/typescript/index.ts";
import { type Cluster, type ClusterNode, describeWithCluster, startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { exitOf } from "../support/serve-child.ts";

let cluster: Cluster;

/** Runs `parlance` to its end. */
async function parlance(...args: string[]) {
  const child = spawn(process.execPath, ["src/main.ts", ...args], { timeout: 120_000 });
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exitOf(child)]);
  return { stdout, stderr, code };
}

/** A user who takes part all the time, and what they were shown. */
interface Member {
  client: ParlanceClient;
  /** Texts by conversation, in the order shown. */
  shown: Map<string, string[]>;
  /** What went wrong for the application. */
  errors: unknown[];
}

async function join(userId: string, transport?: Transport): Promise<Member> {
  const shown = new Map<string, string[]>();
  const errors: unknown[] = [];
  const client = await connect({
    ...(transport ? { transport } : { address: cluster.addresses }),
    credentials: { devUserId: userId },
    onEvent(event: ClientEvent) {
      if (event.case === "reset") errors.push(event);
      if (event.case !== "message") return;
      const { conversationId, content } = event.value;
      const body = content?.kind.case === "text" ? content.kind.value.body : "";
      shown.set(conversationId, [...(shown.get(conversationId) ?? []), body]);
    },
  });
  client.onState((state, error) => {
    if (state === "closed" && error !== undefined) errors.push(error);
  });
  return { client, shown, errors };
}

describeWithCluster("a service of three nodes", () => {
  beforeAll(async () => {
    cluster = await startCluster(3, ["--drain-grace-ms", "5000"]);
  });
  afterAll(() => cluster?.close());

  test("moves the sessions of a node that an operator drains, and shows how far that is", async () => {
    // Sharing connections spreads them evenly.
    const transport = createTransport({ address: cluster.addresses, clientsPerConnection: 40 });
    const members = await Promise.all(Array.from({ length: 9 }, (_, i) => join(`user-${i}`, transport)));
    const [first, second] = cluster.nodes as [ClusterNode, ClusterNode];
    // Any node may be asked.
    const { code, stdout, stderr } = await parlance(
      ...["admin", "drain", first.name, "--wait", "--server", second.adminAddress, "--json"],
    );
    expect({ code, node: JSON.parse(stdout).node }).toMatchObject({
      code: 0,
      node: { name: first.name, state: "NODE_STATE_DRAINED", sessions: 0 },
    });
    expect(stderr).toBe(`draining ${first.name}: 3 sessions sent away\n`);
    await eventually(() => members.every(({ client }) => client.state === "live"));
    const table = await parlance("admin", "nodes", "--server", second.adminAddress);
    expect(table.stdout).toMatch(/^node-1 .* 0 +0 +drained /m);
    const others = [...table.stdout.matchAll(/^node-[23] +\S+ +\S+ +(\d+) +\d+ +serving /gm)];
    expect(others.map(([, sessions]) => Number(sessions)).reduce((sum, each) => sum + each)).toBe(9);
    expect(members.flatMap(({ errors }) => errors)).toEqual([]);
    await Promise.all(members.map(({ client }) => client.close()));

    // Started anew, it takes sessions again.
    expect(await first.stop()).toBe(0);
    await first.start();
    expect((await parlance("admin", "nodes", "--server", second.adminAddress)).stdout).toMatch(
      /^node-1 .* serving /m,
    );
  });

  test("loses nothing in a rolling restart, shows nothing twice, and no call or send fails", async () => {
    const members = await Promise.all(
      ["alice", "bob", "carol", "dave", "erin", "frank"].map((userId) => join(userId)),
    );
    const [owner] = members as [Member];
    await owner.client.groups.createGroup({
      groupId: "all",
      memberIds: members.map(({ client }) => client.userId),
    });

    let restarting = true;
    const sent = new Map<string, string[]>();
    const works = members.map(async ({ client, errors }) => {
      const texts: string[] = [];
      sent.set(client.userId, texts);
      for (let i = 0; restarting; i++) {
        const text = `${client.userId} ${i}`;
        try {
          await client.sendGroup("all", text);
          texts.push(text);
          // Calls that must not be repeated when their outcome is unknown.
          await client.groups.createGroup({ groupId: `${client.userId}-${i}` });
          await client.conversations.listConversations({});
        } catch (error) {
          errors.push(error);
        }
      }
    });
    /** Whether all were shown so many messages. Throws what went wrong for one, who would wait in vain. */
    const inAll = (count: number) => {
      expect(members.flatMap(({ errors }) => errors)).toEqual([]);
      return members.every(({ shown }) => (shown.get("g:all")?.length ?? 0) >= count);
    };
    await eventually(() => inAll(20));
    for (const node of cluster.nodes) {
      expect(await node.stop()).toBe(0);
      const before = owner.shown.get("g:all")?.length ?? 0;
      await eventually(() => inAll(before + 20));
      await node.start();
    }
    restarting = false;
    await Promise.all(works);

    expect(members.flatMap(({ errors }) => errors)).toEqual([]);
    const total = [...sent.values()].flat();
    await eventually(() => inAll(total.length));
    for (const { shown, client } of members) {
      const texts = shown.get("g:all") ?? [];
      expect(texts).toEqual(owner.shown.get("g:all"));
      for (const [userId, own] of sent)
        expect(texts.filter((text) => text.startsWith(`${userId} `))).toEqual(own);
      expect(client.stats.gaps).toBe(0);
    }
    // Each was on a node that was stopped, at least once.
    for (const { client } of members) expect(client.stats.reconnects).toBeGreaterThan(0);
    await Promise.all(members.map(({ client }) => client.close()));
  });
});
