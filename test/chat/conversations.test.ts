import { afterAll, beforeAll, expect, test } from "vitest";
import type { Conversation } from "../../gen/parlance/chat/v1/conversation_pb.js";
import { Role } from "../../gen/parlance/chat/v1/group_pb.js";
import { failureOf } from "../support/errors.ts";
import { startTestServer, type TestServer, text, type UserClients } from "../support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

let made = 0;
/** Logs users in whose names no other test uses. */
function users<const Names extends readonly string[]>(
  ...names: Names
): Promise<{ [I in keyof Names]: UserClients }> {
  made++;
  return Promise.all(names.map((name) => server.login(`${name}-${made}`))) as Promise<{
    [I in keyof Names]: UserClients;
  }>;
}

async function say(from: UserClients, to: UserClients, count = 1): Promise<void> {
  for (let n = 0; n < count; n++) await from.chat.sendDirect({ recipientId: to.userId, content: text("hi") });
}

async function list(
  { conversations }: UserClients,
  request: { unreadOnly?: boolean; pageSize?: number } = {},
) {
  const all: Conversation[] = [];
  for (let pageToken = ""; ; ) {
    const page = await conversations.listConversations({ ...request, pageToken });
    if (request.pageSize) expect(page.conversations.length).toBeLessThanOrEqual(request.pageSize);
    all.push(...page.conversations);
    if (page.nextPageToken === "") return all;
    expect(page.conversations.length).toBeGreaterThan(0);
    pageToken = page.nextPageToken;
  }
}

const targets = (conversations: readonly Conversation[]) => conversations.map(({ target }) => target.value);

test("a user without conversations has an empty list", async () => {
  const [ann] = await users("ann");
  expect(await ann.conversations.listConversations({})).toMatchObject({
    conversations: [],
    nextPageToken: "",
  });
});

test("both users of a direct conversation see it, each with the other as peer", async () => {
  const [ann, bob] = await users("ann:%", "bob");
  await say(ann, bob, 2);
  await say(bob, ann);
  const [ofAnn] = await list(ann);
  const [ofBob] = await list(bob);
  expect(ofAnn).toMatchObject({
    target: { case: "peerUserId", value: bob.userId },
    lastSeq: 3n,
    readSeq: 0n,
    unreadCount: 1,
  });
  expect(ofBob).toMatchObject({
    target: { case: "peerUserId", value: ann.userId },
    lastSeq: 3n,
    readSeq: 0n,
    unreadCount: 2,
  });
  expect(ofAnn?.conversationId).toBe(ofBob?.conversationId);
  expect(ofAnn?.lastMessage).toEqual(ofBob?.lastMessage);
  expect(ofAnn?.lastMessage).toMatchObject({ senderId: bob.userId, seq: 3n });
});

test("conversations come by their newest event, and each once whatever the page size", async () => {
  const [me, ...others] = await users("me", "a", "b", "c", "d", "e", "f", "g", "h");
  for (const other of others) await say(other, me);
  const [a, b, c, ...rest] = others;
  if (!a || !b || !c) throw new Error("not logged in");
  await me.groups.createGroup({ groupId: `group of ${me.userId}` });
  await say(me, b);
  await say(c, me);
  const order = [c, b, `group of ${me.userId}`, ...[a, ...rest].reverse()].map((each) =>
    typeof each === "string" ? each : each.userId,
  );
  for (const pageSize of [0, 1, 2, 7, 8, 9, 10, 1000])
    expect(targets(await list(me, { pageSize }))).toEqual(order);
  await me.groups.updateGroup({
    group: { groupId: `group of ${me.userId}`, name: "n" },
    updateMask: { paths: ["name"] },
  });
  expect(targets(await list(me))[0]).toBe(`group of ${me.userId}`);
});

test("own messages and changes of the group are not unread", async () => {
  const [ann, bob] = await users("ann", "bob");
  const groupId = `group of ${ann.userId}`;
  await ann.groups.createGroup({ groupId, memberIds: [bob.userId] });
  await ann.groups.addMembers({ groupId, userIds: ["someone"] });
  const counts = async () => [(await list(ann))[0]?.unreadCount, (await list(bob))[0]?.unreadCount];
  expect(await counts()).toEqual([0, 0]);
  await ann.chat.sendGroup({ groupId, content: text("1") });
  expect(await counts()).toEqual([0, 1]);
  await ann.groups.updateMember({
    member: { groupId, userId: bob.userId, role: Role.ADMIN },
    updateMask: { paths: ["role"] },
  });
  await bob.chat.sendGroup({ groupId, content: text("2") });
  await ann.chat.sendGroup({ groupId, content: text("3") });
  expect(await counts()).toEqual([1, 2]);
  const [ofBob] = await list(bob);
  expect(ofBob).toMatchObject({ target: { case: "groupId", value: groupId }, lastSeq: 7n, readSeq: 0n });
});

test("what was said before a member joined is not unread, and the last message only where they may read it", async () => {
  const [ann, bob, cat] = await users("ann", "bob", "cat");
  for (const historyForNewMembers of [false, true]) {
    const groupId = `${historyForNewMembers} of ${ann.userId}`;
    await ann.groups.createGroup({ groupId, historyForNewMembers });
    await ann.chat.sendGroup({ groupId, content: text("before") });
    await ann.groups.addMembers({ groupId, userIds: [bob.userId] });
    const [before] = await list(bob);
    expect(before).toMatchObject({ target: { value: groupId }, lastSeq: 4n, readSeq: 3n, unreadCount: 0 });
    expect(before?.lastMessage?.seq).toBe(historyForNewMembers ? 3n : undefined);
    await ann.chat.sendGroup({ groupId, content: text("after") });
    const [after] = await list(bob);
    expect(after).toMatchObject({ unreadCount: 1, lastMessage: { seq: 5n } });
  }
  expect(await list(cat)).toEqual([]);
});

test("unread_only leaves the others out, with pages of any size", async () => {
  const [me, ...others] = await users("me", "a", "b", "c", "d", "e", "f", "g", "h", "i");
  for (const other of others) await say(other, me);
  const all = await list(me);
  for (const [n, { conversationId, lastSeq }] of all.entries()) {
    if (n % 3 !== 1) await me.conversations.markRead({ conversationId, upToSeq: lastSeq });
  }
  const unread = all.filter((_, n) => n % 3 === 1);
  for (const pageSize of [0, 1, 2, 3, 4, 7]) {
    expect(targets(await list(me, { unreadOnly: true, pageSize }))).toEqual(targets(unread));
  }
  const { nextPageToken: pageToken } = await me.conversations.listConversations({
    unreadOnly: true,
    pageSize: 1,
  });
  for (const request of [{ pageToken }, { pageToken: `${pageToken}AAAA`, unreadOnly: true }]) {
    expect(await failureOf((options) => me.conversations.listConversations(request, options))).toMatchObject({
      code: "INVALID_ARGUMENT",
      reasonName: "INVALID_PAGE_TOKEN",
    });
  }
});

test("marking as read never goes back", async () => {
  const [ann, bob] = await users("ann", "bob");
  await say(ann, bob, 5);
  const conversationId = (await list(bob))[0]?.conversationId ?? "";
  const read = async (upToSeq: bigint) => {
    const { conversation } = await bob.conversations.markRead({ conversationId, upToSeq });
    expect((await list(bob))[0]).toEqual(conversation);
    return [conversation?.readSeq, conversation?.unreadCount];
  };
  expect(await read(0n)).toEqual([0n, 5]);
  expect(await read(3n)).toEqual([3n, 2]);
  expect(await read(1n)).toEqual([3n, 2]);
  expect(await read(5n)).toEqual([5n, 0]);
  expect(await read(0n)).toEqual([5n, 0]);
  expect((await list(ann))[0]).toMatchObject({ readSeq: 0n, unreadCount: 0 });
  await say(ann, bob);
  expect((await list(bob))[0]).toMatchObject({ readSeq: 5n, unreadCount: 1 });
});

test("marking as read what is not there yet, or not the caller's, is refused and changes nothing", async () => {
  const [ann, bob, cat] = await users("ann", "bob", "cat");
  await say(ann, bob, 2);
  const conversationId = (await list(bob))[0]?.conversationId ?? "";
  for (const upToSeq of [3n, 2n ** 53n, 2n ** 63n - 1n]) {
    expect(
      await failureOf((options) => bob.conversations.markRead({ conversationId, upToSeq }, options)),
    ).toMatchObject({
      code: "INVALID_ARGUMENT",
      reasonName: "SEQ_IN_FUTURE",
    });
  }
  expect(
    await failureOf((options) => bob.conversations.markRead({ conversationId, upToSeq: -1n }, options)),
  ).toMatchObject({
    code: "INVALID_ARGUMENT",
    violations: [{ field: "up_to_seq" }],
  });
  for (const id of [conversationId, "g:none", "d:x", "x", `d:${cat.userId}:zoe`]) {
    expect(
      await failureOf((options) => cat.conversations.markRead({ conversationId: id, upToSeq: 1n }, options)),
    ).toMatchObject({
      code: "NOT_FOUND",
      reasonName: "CONVERSATION_NOT_FOUND",
    });
  }
  expect((await list(bob))[0]).toMatchObject({ readSeq: 0n, unreadCount: 2 });
});

test("the other user and the reader's other devices are told what was read, a group's members are not", async () => {
  const [ann, bob] = await users("ann", "bob");
  const phone = await server.login(bob.userId, "phone");
  const groupId = `group of ${ann.userId}`;
  await ann.groups.createGroup({ groupId, memberIds: [bob.userId] });
  await ann.chat.sendGroup({ groupId, content: text("hi") });
  await say(ann, bob, 2);
  const streams = [ann.stream(), phone.stream(), bob.stream()];
  for (const stream of streams) await stream.open();
  for (const stream of streams) await stream.next("caughtUp");
  const direct = (await list(bob))[0]?.conversationId ?? "";
  await bob.conversations.markRead({ conversationId: `g:${groupId}`, upToSeq: 3n });
  await bob.conversations.markRead({ conversationId: direct, upToSeq: 1n });
  await bob.conversations.markRead({ conversationId: direct, upToSeq: 1n });
  await bob.conversations.markRead({ conversationId: direct, upToSeq: 2n });
  for (const stream of streams) {
    await stream.next("receipt", ({ upToSeq }) => upToSeq === 2n);
    const receipts = stream
      .all("receipt")
      .map(({ conversationId, userId, upToSeq }) => `${conversationId} ${userId} ${upToSeq}`);
    const ofDirect = [1, 2].map((seq) => `${direct} ${bob.userId} ${seq}`);
    expect(receipts).toEqual(
      stream === streams[0] ? ofDirect : [`g:${groupId} ${bob.userId} 3`, ...ofDirect],
    );
    stream.cancel();
  }
});

test("the last message is the last one, not the last event", async () => {
  const [ann] = await users("ann");
  const groupId = `group of ${ann.userId}`;
  await ann.groups.createGroup({ groupId });
  expect((await list(ann))[0]?.lastMessage).toBeUndefined();
  const { result } = await ann.chat.sendGroup({ groupId, content: text("the last") });
  await ann.groups.addMembers({ groupId, userIds: ["someone"] });
  const [conversation] = await list(ann);
  expect(conversation).toMatchObject({ lastSeq: 4n, lastMessage: { messageId: result?.messageId, seq: 3n } });
  expect((await ann.messages.getMessage({ messageId: result?.messageId ?? "" })).message).toEqual(
    conversation?.lastMessage,
  );
});

test("groups that one left, was removed from, or that were disbanded vanish", async () => {
  const [ann, bob] = await users("ann", "bob");
  const ids = ["left", "removed", "disbanded", "kept"].map((name) => `${name} ${ann.userId}`);
  const [left, removed, disbanded, kept] = ids as [string, string, string, string];
  for (const groupId of ids) {
    await ann.groups.createGroup({ groupId, memberIds: [bob.userId] });
    await ann.chat.sendGroup({ groupId, content: text("hi") });
  }
  expect(targets(await list(bob))).toEqual([...ids].reverse());
  await bob.groups.leaveGroup({ groupId: left });
  await ann.groups.removeMembers({ groupId: removed, userIds: [bob.userId] });
  await ann.groups.disbandGroup({ groupId: disbanded });
  expect(targets(await list(bob))).toEqual([kept]);
  expect(targets(await list(bob, { unreadOnly: true }))).toEqual([kept]);
  expect(targets(await list(ann))).toEqual([removed, left, kept]);
  for (const groupId of [left, removed, disbanded]) {
    const request = { conversationId: `g:${groupId}`, upToSeq: 1n };
    expect(await failureOf((options) => bob.conversations.markRead(request, options))).toMatchObject({
      reasonName: "CONVERSATION_NOT_FOUND",
    });
  }
  await ann.groups.addMembers({ groupId: left, userIds: [bob.userId] });
  const [again] = await list(bob);
  expect(again).toMatchObject({ target: { value: left }, unreadCount: 0 });
  expect(again?.lastMessage).toBeUndefined();
});

test.each([-1, 1001, 2 ** 31 - 1])("a page size of %d is refused", async (pageSize) => {
  const [ann] = await users("ann");
  expect(
    await failureOf((options) => ann.conversations.listConversations({ pageSize }, options)),
  ).toMatchObject({
    code: "INVALID_ARGUMENT",
    violations: [{ field: "page_size" }],
  });
});

test("one conversation is found by its id, its other user or its group, and is as in the list", async () => {
  const [ann, bob] = await users("ann", "bob");
  await say(bob, ann, 2);
  const { group } = await ann.groups.createGroup({ memberIds: [bob.userId] });
  const [ofGroup, direct] = (await list(ann)) as [Conversation, Conversation];
  const get = async (target: Parameters<typeof ann.conversations.getConversation>[0]["target"]) =>
    (await ann.conversations.getConversation({ ...(target && { target }) })).conversation;
  expect(await get({ case: "recipientId", value: bob.userId })).toEqual(direct);
  expect(await get({ case: "conversationId", value: direct.conversationId })).toEqual(direct);
  expect(await get({ case: "groupId", value: group?.groupId ?? "" })).toEqual(ofGroup);
});

test.each([
  ["a user nobody has written to", { case: "recipientId", value: "nobody-yet" }],
  ["a group that does not exist", { case: "groupId", value: "no-group" }],
  ["an id that names nothing", { case: "conversationId", value: "x:y" }],
  ["a conversation of others", { case: "conversationId", value: "d:someone:else" }],
] as const)("there is no conversation with %s", async (_, target) => {
  const [ann] = await users("ann");
  expect(await failureOf((options) => ann.conversations.getConversation({ target }, options))).toMatchObject({
    code: "NOT_FOUND",
    reasonName: "CONVERSATION_NOT_FOUND",
  });
});

test("all conversations with unread messages are marked as read, and their other users told", async () => {
  const [ann, bob, cid] = await users("ann", "bob", "cid");
  const stream = bob.stream();
  await stream.open();
  await stream.next("caughtUp");
  await say(bob, ann, 2);
  await say(cid, ann, 1);
  const { group } = await cid.groups.createGroup({ memberIds: [ann.userId] });
  await cid.chat.sendGroup({ groupId: group?.groupId ?? "", content: text("hi") });
  expect(await ann.conversations.markAllRead({})).toMatchObject({ count: 3 });
  const conversations = await list(ann);
  expect(conversations.map(({ readSeq, unreadCount }) => [readSeq, unreadCount])).toEqual([
    [3n, 0],
    [1n, 0],
    [2n, 0],
  ]);
  expect(await ann.conversations.markAllRead({})).toMatchObject({ count: 0 });
  await stream.next("receipt", ({ userId, upToSeq }) => userId === ann.userId && upToSeq === 2n);
  stream.cancel();
});

test("more conversations than are marked at a time are all marked", async () => {
  const [ann] = await users("ann");
  const senders = await users(...Array.from({ length: 230 }, (_, n) => `sender ${n}`));
  await Promise.all(senders.map((sender) => say(sender, ann, 1)));
  expect(await ann.conversations.markAllRead({})).toMatchObject({ count: 230 });
  expect(await list(ann, { unreadOnly: true })).toEqual([]);
});
