/** Who may see whose presence. */

import { toJson } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Platform } from "../../gen/parlance/chat/v1/device_pb.js";
import { JoinPolicy } from "../../gen/parlance/chat/v1/group_pb.js";
import { type Presence, PresenceSchema } from "../../gen/parlance/chat/v1/presence_pb.js";
import { eventually } from "../support/eventually.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";
import type { TestStream } from "../support/test-stream.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ presenceVisibility: "shared" });
});
afterAll(() => server.close());

const streams: TestStream[] = [];
afterEach(() => {
  for (const stream of streams.splice(0)) stream.cancel();
});

let users = 0;
/** Logs users in whom nobody knows. */
function strangers<const Names extends readonly string[]>(...names: Names): Promise<UserClients[]> {
  return Promise.all(names.map((name) => server.login(`${name}-${++users}`)));
}

async function come({ stream }: UserClients): Promise<TestStream> {
  const opened = stream();
  streams.push(opened);
  await opened.open();
  return opened;
}

/** What a user is answered of another, without the other's name. */
async function shown({ presence }: UserClients, other: { userId: string }): Promise<object> {
  const { presences } = await presence.getPresence({ userIds: [other.userId] });
  return withoutName(presences[0] as Presence);
}

function withoutName(presence: Presence): object {
  const { userId: _, ...rest } = toJson(PresenceSchema, presence) as { userId: string };
  return rest;
}

const nothing = {};

async function meet(one: UserClients, other: UserClients): Promise<void> {
  await one.chat.sendDirect({ recipientId: other.userId, content: text("hi") });
}

/** Has a stream watch users and returns what it was told at once. */
async function watch(stream: TestStream, watched: readonly { userId: string }[]): Promise<Presence[]> {
  const before = stream.all("presence").length;
  const userIds = watched.map(({ userId }) => userId);
  const requestId = `watch-${Math.random()}`;
  stream.send({ case: "watchPresence", value: { userIds } }, requestId);
  await stream.next("done", (_, event) => event.requestId === requestId);
  return stream.all("presence").slice(before, before + watched.length);
}

describe("presence", () => {
  test("is nothing to a stranger, whether the user is there, was there, or never existed", async () => {
    const [asker, here, gone] = await strangers("asker", "here", "gone");
    if (!asker || !here || !gone) throw new Error("no users");
    await come(here);
    const stream = await come(gone);
    stream.cancel();
    await eventually(async () => "lastActiveTime" in (await shown(gone, gone)));
    const never = { userId: "never-seen" };
    for (const other of [here, gone, never]) expect(await shown(asker, other)).toEqual(nothing);
    const own = await come(asker);
    const told = await watch(own, [here, gone, never]);
    expect(told.map(withoutName)).toEqual([nothing, nothing, nothing]);
    expect(told.map(({ userId }) => userId)).toEqual([here.userId, gone.userId, never.userId]);
    expect(await shown(asker, asker)).toMatchObject({ online: true });
  });

  test("is told once a direct conversation begins, whoever began it", async () => {
    const [alice, bob] = await strangers("alice", "bob");
    if (!alice || !bob) throw new Error("no users");
    const [ofAlice] = [await come(alice), await come(bob)];
    expect((await watch(ofAlice, [bob])).map(withoutName)).toEqual([nothing]);
    await meet(bob, alice);
    expect(await shown(alice, bob)).toMatchObject({ online: true, platforms: ["PLATFORM_UNSPECIFIED"] });
    expect(await shown(bob, alice)).toMatchObject({ online: true });
    // Who watches is told by itself.
    await ofAlice.next("presence", ({ userId, online }) => userId === bob.userId && online);
  });

  test("is told to the members of a group, and to nobody who was one", async () => {
    const [owner, member, other] = await strangers("owner", "member", "other");
    if (!owner || !member || !other) throw new Error("no users");
    const groupId = `presence-${users}`;
    await owner.groups.createGroup({ groupId, joinPolicy: JoinPolicy.OPEN, memberIds: [member.userId] });
    const [ofOwner, ofMember, ofOther] = [await come(owner), await come(member), await come(other)];
    expect((await watch(ofMember, [owner, other])).map(({ online }) => online)).toEqual([true, false]);
    await watch(ofOther, [member]);

    await other.groups.joinGroup({ groupId });
    await ofMember.next("presence", ({ userId, online }) => userId === other.userId && online);
    await ofOther.next("presence", ({ userId, online }) => userId === member.userId && online);

    await owner.groups.removeMembers({ groupId, userIds: [member.userId] });
    for (const other of [owner, member]) {
      const asker = other === owner ? member : owner;
      expect(await shown(asker, other)).toEqual(nothing);
    }
    // They are told that the others went, in the words for who never came, and of nothing after.
    await ofMember.until(() => ofMember.all("presence").filter(({ online }) => !online).length >= 3);
    const last = ofMember.all("presence").slice(-2);
    expect(last.map(withoutName)).toEqual([nothing, nothing]);
    expect(last.map(({ userId }) => userId).sort()).toEqual([other.userId, owner.userId].sort());
    await ofOther.until(() => ofOther.all("presence").at(-1)?.online === false);
    const told = ofMember.all("presence").length;
    ofOwner.cancel();
    await eventually(async () => !("online" in (await shown(other, owner))));
    // What was told before this answer would have come before it.
    ofMember.send({ case: "ping", value: {} });
    await ofMember.next("pong");
    expect(ofMember.all("presence")).toHaveLength(told);
  });

  test("ends with a group that is disbanded", async () => {
    const [owner, member] = await strangers("owner", "member");
    if (!owner || !member) throw new Error("no users");
    const groupId = `disbanded-${users}`;
    await owner.groups.createGroup({ groupId, memberIds: [member.userId] });
    const [stream] = [await come(member), await come(owner)];
    expect((await watch(stream, [owner]))[0]?.online).toBe(true);
    await owner.groups.disbandGroup({ groupId });
    await stream.next("presence", ({ online }) => !online);
    expect(await shown(member, owner)).toEqual(nothing);
  });

  test("is the same in each answer however users are mixed and repeated", async () => {
    const [asker, friend, hidden] = await strangers("asker", "friend", "hidden");
    if (!asker || !friend || !hidden) throw new Error("no users");
    await meet(asker, friend);
    await Promise.all([come(friend), come(hidden)]);
    const userIds = [hidden, friend, hidden, asker, friend].map(({ userId }) => userId);
    const { presences } = await asker.presence.getPresence({ userIds });
    expect(presences.map(({ userId }) => userId)).toEqual(userIds);
    expect(presences.map(({ online }) => online)).toEqual([false, true, false, false, true]);
  });

  test("of two watches the last counts, whatever of them is answered first", async () => {
    const [asker, friend, hidden] = await strangers("asker", "friend", "hidden");
    if (!asker || !friend || !hidden) throw new Error("no users");
    await meet(asker, friend);
    const stream = await come(asker);
    const value = (...watched: UserClients[]) => ({ userIds: watched.map(({ userId }) => userId) });
    stream.send({ case: "watchPresence", value: value(friend) }, "first");
    stream.send({ case: "watchPresence", value: value(hidden) }, "second");
    await stream.next("done", (_, event) => event.requestId === "second");
    await come(friend);
    await come(hidden);
    await meet(hidden, asker);
    await stream.next("presence", ({ userId, online }) => userId === hidden.userId && online);
    expect(stream.all("presence").some(({ userId, online }) => userId === friend.userId && online)).toBe(
      false,
    );
  });
});

test.each([
  ["everyone", true],
  ["nobody", false],
] as const)(
  "where presenceVisibility is %s, a friend and a stranger are shown alike",
  async (visibility, isSeen) => {
    const other = await startTestServer({ presenceVisibility: visibility });
    try {
      const [asker, friend, stranger] = await Promise.all(["a", "f", "s"].map((name) => other.login(name)));
      if (!asker || !friend || !stranger) throw new Error("no users");
      await meet(asker, friend);
      const { chat } = other.as({});
      const { sessionToken } = await chat.login({
        credential: { case: "devUserId", value: "s" },
        device: { deviceId: "web", platform: Platform.WEB },
      });
      const opened = [friend.stream(), other.as({ authorization: `Bearer ${sessionToken}` }).stream()];
      for (const stream of opened) await stream.open();
      const { presences } = await asker.presence.getPresence({ userIds: ["f", "s", "a"] });
      expect(presences.map(({ online }) => online)).toEqual([isSeen, isSeen, false]);
      expect(presences[1]?.platforms).toEqual(isSeen ? [Platform.WEB] : []);
      for (const stream of opened) stream.cancel();
    } finally {
      await other.close();
    }
  },
);
