import { expect, test } from "vitest";
import { ErrorReason } from "../../src/model/errors.ts";
import { groupChanges } from "../support/group-changes.ts";
import type { StoreUnderTest } from "./store.ts";
import { createStaffedGroup, refused, toGroup, toUser, unique } from "./store-support.ts";

const all = Number.MAX_SAFE_INTEGER;

export function conversationTests(tested: () => StoreUnderTest): void {
  test("a direct conversation begins with its first message, for both", async () => {
    const { store } = tested();
    const [a, b] = [unique("a"), unique("b")];
    const draft = toUser(a, b);
    const { conversationId } = draft;
    expect(await store.getConversation(a, conversationId)).toBeUndefined();
    const { position } = await store.append(draft);
    const lastMessage = await store.readPosition(position);
    const record = { conversationId, lastSeq: 1, lastPosition: position, readSeq: 0, lastMessage };
    expect(await store.getConversation(a, conversationId)).toEqual({ ...record, unreadCount: 0 });
    expect(await store.getConversation(b, conversationId)).toEqual({ ...record, unreadCount: 1 });
    expect(await store.access(b, conversationId)).toEqual({ lastSeq: 1, readSeq: 0, visibleFromSeq: 1 });
    expect(await store.access(unique("c"), conversationId)).toBeUndefined();
  });

  test("marking read only ever rises, up to the last seq", async () => {
    const { store } = tested();
    const [a, b] = [unique("a"), unique("b")];
    const draft = toUser(a, b);
    const { conversationId } = draft;
    for (let n = 0; n < 3; n++) await store.append(draft);
    expect(await store.markRead(b, conversationId, 2)).toBe(true);
    expect(await store.markRead(b, conversationId, 2)).toBe(false);
    expect(await store.markRead(b, conversationId, 1)).toBe(false);
    expect(await store.getConversation(b, conversationId)).toMatchObject({ readSeq: 2, unreadCount: 1 });
    await refused(store.markRead(b, conversationId, 4), ErrorReason.SEQ_IN_FUTURE);
    await refused(store.markRead(unique("c"), conversationId, 1), ErrorReason.CONVERSATION_NOT_FOUND);
    await refused(store.markRead(b, unique("none"), 1), ErrorReason.CONVERSATION_NOT_FOUND);
  });

  test("marks and messages take effect in the order in which they were issued", async () => {
    const { store } = tested();
    const [a, b] = [unique("a"), unique("b")];
    const draft = toUser(a, b);
    const mark = (seq: number) => store.markRead(b, draft.conversationId, seq);
    const [none, , first, again, future, , second] = await Promise.allSettled([
      mark(1),
      store.append(draft),
      mark(1),
      mark(1),
      mark(2),
      store.append(draft),
      mark(2),
      mark(1),
    ]);
    expect(none).toMatchObject({ reason: { reason: ErrorReason.CONVERSATION_NOT_FOUND } });
    expect([first, again, second]).toMatchObject([{ value: true }, { value: false }, { value: true }]);
    expect(future).toMatchObject({ reason: { reason: ErrorReason.SEQ_IN_FUTURE } });
    expect(await store.access(b, draft.conversationId)).toMatchObject({ lastSeq: 2, readSeq: 2 });
  });

  test("conversations are listed by their last event, latest first, in pages", async () => {
    const { store } = tested();
    const me = unique("me");
    const peers = ["p", "q", "r", "s"].map(unique);
    for (const peer of peers) await store.append(toUser(peer, me));
    await store.append(toUser(me, peers[1] as string));
    const idOf = (peer: string | undefined) => toUser(me, String(peer)).conversationId;
    const order = [peers[1], peers[3], peers[2], peers[0]].map(idOf);
    const listed = await store.listConversations(me, all, false, 100);
    expect(listed.map((record) => record.conversationId)).toEqual(order);
    const first = await store.listConversations(me, all, false, 3);
    expect(first).toEqual(listed.slice(0, 3));
    const rest = await store.listConversations(me, first[2]?.lastPosition as number, false, 3);
    expect(rest).toEqual(listed.slice(3));
    await store.markRead(me, idOf(peers[3]), 1);
    await store.markRead(me, idOf(peers[1]), 1);
    const unread = await store.listConversations(me, all, true, 1);
    expect(unread.map((record) => record.conversationId)).toEqual([idOf(peers[2])]);
    expect(await store.listConversations(me, all, true, 9)).toHaveLength(2);
    // Last messages of five bytes; that which exceeds the bound is the last.
    expect(await store.listConversations(me, all, false, 100, 9)).toHaveLength(2);
    expect(await store.listConversations(me, all, false, 2, 10)).toHaveLength(2);
    expect(await store.listConversations(me, all, true, 9, 0)).toHaveLength(1);
  });

  test("unread are messages of others that the user may read; the last message is one they may read", async () => {
    const { store } = tested();
    const { groupId, conversationId, o, m, x } = await createStaffedGroup(store);
    const old = await store.append(toGroup(m, groupId));
    await groupChanges(store).joinGroup(groupId, x);
    const joined = await store.getConversation(x, conversationId);
    expect(joined).toMatchObject({ lastSeq: 6, unreadCount: 0, lastMessage: undefined });
    await store.append(toGroup(o, groupId));
    const own = await store.append(toGroup(x, groupId));
    await groupChanges(store).updateGroup(groupId, o, { name: "other" });
    const record = await store.getConversation(x, conversationId);
    expect(record).toMatchObject({ lastSeq: 9, unreadCount: 1, lastMessage: { position: own.position } });
    expect(await store.getConversation(m, conversationId)).toMatchObject({ unreadCount: 2 });
    await store.markRead(m, conversationId, old.seq);
    expect(await store.getConversation(m, conversationId)).toMatchObject({ unreadCount: 2 });
    await store.markRead(m, conversationId, 9);
    expect(await store.getConversation(m, conversationId)).toMatchObject({ unreadCount: 0 });
  });

  test("users are in a conversation together from its beginning until one of them goes", async () => {
    const { store } = tested();
    const { groupId, o, a, m, r, x } = await createStaffedGroup(store);
    const [me, peer] = [unique("u"), unique("peer")];
    const known = async (userId: string, userIds: string[]) =>
      (await store.inConversationWith(userId, userIds)).sort();
    expect(await known(m, [x, r, o, "never", a])).toEqual([a, o, r].sort());
    expect(await known(m, [])).toEqual([]);
    expect(await known("never", [m])).toEqual([]);
    expect(await known(me, [peer])).toEqual([]);
    await store.append(toUser(me, peer));
    await refused(
      store.append(toUser(me, x, { replyTo: { position: 1, acceptTimeMs: 1 } })),
      ErrorReason.REPLY_TARGET_NOT_FOUND,
    );
    expect(await known(me, [peer, x])).toEqual([peer]);
    expect(await known(peer, [me, m])).toEqual([me]);
    await groupChanges(store).leaveGroup(groupId, r);
    expect(await known(r, [o, a, m])).toEqual([]);
    expect(await known(m, [o, r])).toEqual([o]);
    await groupChanges(store).disbandGroup(groupId, o);
    expect(await known(o, [a, m])).toEqual([]);
    const many = Array.from({ length: 1_000 }, (_, n) => `${me}-${n}`);
    expect(await known(me, [...many, peer])).toEqual([peer]);
  });

  test("a conversation that was left is not listed", async () => {
    const { store } = tested();
    const { groupId, conversationId, m } = await createStaffedGroup(store);
    expect(await store.listConversations(m, all, false, 10)).toHaveLength(1);
    await groupChanges(store).leaveGroup(groupId, m);
    expect(await store.listConversations(m, all, false, 10)).toEqual([]);
    await refused(store.markRead(m, conversationId, 1), ErrorReason.CONVERSATION_NOT_FOUND);
  });
}
