/** Events of a kind that only later releases know, appended by a node of one. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { JoinPolicy } from "../../gen/parlance/chat/v1/group_pb.js";
import { directConversationId, groupConversationId } from "../../wire/ids.ts";
import type { Audience } from "../../wire/log-event.ts";
import { type Cluster, describeWithCluster, startCluster } from "../support/cluster.ts";
import { connect, logIn } from "../support/connect.ts";
import { text } from "../support/server.ts";
import { appendUnknownTo } from "../support/unknown-events.ts";

describeWithCluster("events that only later releases know", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster(2);
  });
  afterAll(() => cluster?.close());

  test("reach the streams on every node in their place, and what follows comes after them", async () => {
    const [first = "", second = ""] = cluster.addresses;
    const [aliceToken = "", bobToken = ""] = await logIn(first, ["alice", "bob"]);
    const alice = connect(first, aliceToken);
    const bob = connect(second, bobToken);
    try {
      await alice.chat.sendDirect({ recipientId: "bob", content: text("1") });
      const streams = [alice.stream(), bob.stream()];
      for (const stream of streams) {
        await stream.open();
        await stream.next("caughtUp");
      }
      await appendUnknownTo(cluster.postgres, cluster.databaseUrl, directConversationId("alice", "bob"));
      await alice.chat.sendDirect({ recipientId: "bob", content: text("3") });
      for (const stream of streams) {
        await stream.until(() => stream.events.some(({ seq }) => seq === 3n));
        expect(
          stream.events.filter(({ seq }) => seq > 1n).map(({ seq, event }) => [seq, event.case]),
        ).toEqual([
          [2n, undefined],
          [3n, "message"],
        ]);
        stream.cancel();
      }
    } finally {
      alice.close();
      bob.close();
    }
  });

  test("are withheld live from those they are not for, by what each may read since last coming in", async () => {
    const [first = "", second = ""] = cluster.addresses;
    const [olgaToken = "", carlToken = ""] = await logIn(first, ["olga", "carl"]);
    const olga = connect(first, olgaToken);
    const carl = connect(second, carlToken);
    const groupId = "live-audience";
    const append = (audience: Audience) =>
      appendUnknownTo(cluster.postgres, cluster.databaseUrl, groupConversationId(groupId), audience);
    try {
      await olga.groups.createGroup({ groupId, joinPolicy: JoinPolicy.OPEN, memberIds: ["carl"] });
      const { result } = await olga.chat.sendGroup({ groupId, content: text("1") });
      const about = { aboutSeq: Number(result?.seq) };
      const streams = [olga.stream(), carl.stream()] as const;
      for (const stream of streams) {
        await stream.open();
        await stream.next("caughtUp");
      }
      await append(about);
      await append({ userIds: ["olga"] });
      await append({ userIds: ["olga", "carl"] });
      await carl.groups.leaveGroup({ groupId });
      await carl.groups.joinGroup({ groupId });
      await append(about);
      await olga.chat.sendGroup({ groupId, content: text("last") });
      const casesOf = async (stream: (typeof streams)[number]) => {
        await stream.until(() => stream.texts().includes("last"));
        return stream.events
          .filter(({ seq }) => seq > BigInt(about.aboutSeq))
          .map(({ event }) => event.case ?? "shown");
      };
      const changes = ["membershipChanged", "membershipChanged"];
      expect(await casesOf(streams[0])).toEqual(["shown", "shown", "shown", ...changes, "shown", "message"]);
      expect(await casesOf(streams[1])).toEqual([
        ...["shown", "withheld", "shown", ...changes, "withheld", "message"],
      ]);
    } finally {
      olga.close();
      carl.close();
    }
  });
});
