/** Who may see whose presence, where the two are on different nodes. */

import { type Channel, createChannel } from "nice-grpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Presence } from "../../gen/parlance/chat/v1/presence_pb.js";
import { type Clients, clientsOf } from "../support/clients.ts";
import { type Cluster, describeWithCluster, startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { text } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";

describeWithCluster("two nodes", () => {
  const channels: Channel[] = [];
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster(2, ["--presence-visibility", "shared"]);
  });
  afterAll(async () => {
    for (const channel of channels) channel.close();
    await cluster?.close();
  });

  /** Logs a user in at a node and opens a stream there. */
  async function come(userId: string, node: number): Promise<Clients & { opened: TestStream }> {
    const channel = createChannel(cluster.addresses[node] as string);
    channels.push(channel);
    const { sessionToken } = await clientsOf(channel, {}).chat.login({
      credential: { case: "devUserId", value: userId },
    });
    const clients = clientsOf(channel, { authorization: `Bearer ${sessionToken}` });
    const opened = clients.stream();
    await opened.open();
    return { ...clients, opened };
  }

  test("tell of a user of the other node as long as there is a conversation with them, and no longer", async () => {
    const [alice, bob] = await Promise.all([come("alice", 0), come("bob", 1)]);
    alice.opened.send({ case: "watchPresence", value: { userIds: ["bob"] } }, "watch");
    await alice.opened.next("done");
    const shown = (presence?: Presence) => [
      presence?.online,
      presence?.platforms.length,
      presence?.lastActiveTime,
    ];
    const seen = async () => shown((await alice.presence.getPresence({ userIds: ["bob"] })).presences[0]);
    const nothing = [false, 0, undefined];
    expect(await seen()).toEqual(nothing);
    expect(alice.opened.all("presence").map(shown)).toEqual([nothing]);

    await bob.groups.createGroup({ groupId: "both", memberIds: ["alice"] });
    expect(await seen()).toEqual([true, 1, expect.anything()]);
    await alice.opened.next("presence", ({ online }) => online);

    await bob.groups.removeMembers({ groupId: "both", userIds: ["alice"] });
    expect(await seen()).toEqual(nothing);
    await alice.opened.until(() => alice.opened.all("presence").at(-1)?.online === false);
    expect(shown(alice.opened.all("presence").at(-1))).toEqual(nothing);

    await bob.chat.sendDirect({ recipientId: "alice", content: text("again") });
    await alice.opened.until(() => alice.opened.all("presence").at(-1)?.online === true);
    bob.opened.cancel();
    await eventually(() => alice.opened.all("presence").at(-1)?.online === false);
    expect(await seen()).toEqual([false, 0, expect.anything()]);
  });
});
