/** Who gets events of later releases that are not for everybody in their conversation. */

import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { JoinPolicy } from "../../gen/parlance/chat/v1/group_pb.js";
import { groupConversationId } from "../../wire/ids.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import { appendUnknownToFile, unknownField } from "../support/unknown-events.ts";

const conversationId = groupConversationId("tea");
let server: TestServer;
const users = new Map<string, UserClients>();
const user = (name: string) => users.get(name) as UserClients;
let lateSeq: number;

/** Alice and Bob are members from the beginning, Carol since a message was sent; she cannot read that. */
beforeAll(async () => {
  server = await startTestServer();
  for (const name of ["alice", "bob", "carol"]) users.set(name, await server.login(name));
  const { groups, chat } = user("alice");
  await groups.createGroup({ groupId: "tea", memberIds: ["bob"], joinPolicy: JoinPolicy.OPEN });
  const early = await chat.sendGroup({ groupId: "tea", content: text("early") });
  await user("carol").groups.joinGroup({ groupId: "tea" });
  const late = await chat.sendGroup({ groupId: "tea", content: text("late") });
  lateSeq = Number(late.result?.seq);
  const path = join(server.dataDir, "parlance.db");
  await server.restart({}, () =>
    appendUnknownToFile(path, conversationId, [
      { aboutSeq: Number(early.result?.seq) },
      { userIds: ["bob"] },
      { aboutSeq: lateSeq, userIds: ["carol"] },
    ]),
  );
});
afterAll(() => server.close());

/** What a user gets of the last three events: "shown" with all that is in them, or "withheld". */
async function lastOf(name: string): Promise<string[]> {
  const stream = user(name).stream();
  const { cursor } = await stream.open();
  stream.cancel();
  const whole = user(name).stream();
  await whole.open({ resumeFrom: { epoch: cursor?.epoch ?? "", position: 0n } });
  await whole.next("caughtUp");
  whole.cancel();
  return whole.events
    .filter((event) => event.conversationId === conversationId && event.seq > BigInt(lateSeq))
    .map(({ event, $unknown = [] }) => {
      if (event.case === "withheld" && $unknown.length === 0) return "withheld";
      return event.case === undefined && $unknown[0]?.no === unknownField ? "shown" : "something else";
    });
}

test.each([
  ["alice", ["shown", "withheld", "withheld"]],
  ["bob", ["shown", "shown", "withheld"]],
  ["carol", ["withheld", "withheld", "shown"]],
])("%s gets those that are for them, and is told that the others are there", async (name, expected) => {
  expect(await lastOf(name)).toEqual(expected);
  // What is kept for readers of the end of the log is not mixed up.
  expect(await lastOf(name)).toEqual(expected);
});

test("what is withheld tells nothing but its place", async () => {
  const stream = user("carol").stream();
  const { cursor } = await stream.open();
  stream.cancel();
  const whole = user("carol").stream();
  await whole.open({ resumeFrom: { epoch: cursor?.epoch ?? "", position: 0n } });
  const withheld = await whole.next("withheld");
  whole.cancel();
  expect(withheld).toEqual({ $typeName: "parlance.chat.v1.Withheld" });
});
