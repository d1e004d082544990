/** Events of a kind that only later releases know, appended by a node of one. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { directConversationId } from "../../src/chat/ids.ts";
import { type Cluster, describeWithCluster, startCluster } from "../support/cluster.ts";
import { connect, logIn } from "../support/connect.ts";
import { text } from "../support/server.ts";
import { appendUnknownTo } from "../support/unknown-events.ts";

describeWithCluster("events that only later releases know", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster(2);
  }, 120_000);
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
        await stream.until(() => stream.events.at(-1)?.seq === 3n);
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
  }, 60_000);
});
