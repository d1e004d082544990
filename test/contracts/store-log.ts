import { expect, test } from "vitest";
import { ErrorReason } from "../../src/model/errors.ts";
import { EventKind, type LogEvent } from "../../wire/log-event.ts";
import { groupChanges } from "../support/group-changes.ts";
import type { StoreUnderTest } from "./store.ts";
import {
  bodyOf,
  createStaffedGroup,
  range,
  refused,
  settings,
  toGroup,
  toUser,
  unique,
} from "./store-support.ts";

export function logTests(tested: () => StoreUnderTest): void {
  test("an appended message is read back as it was", async () => {
    const { store } = tested();
    const [a, b] = [unique("a"), unique("b")];
    const draft = toUser(a, b, { body: bodyOf("grüße") });
    const before = Date.now();
    const { duplicate, ...place } = await store.append(draft);
    expect(duplicate).toBe(false);
    expect(place.seq).toBe(1);
    expect(place.acceptTimeMs).toBeGreaterThanOrEqual(before);
    const { conversationId } = draft;
    const event = { ...place, conversationId, kind: EventKind.MESSAGE, senderId: a, body: draft.body };
    expect(await store.readPosition(place.position)).toEqual(event);
    expect(await store.readSeqs(conversationId, range())).toEqual([event]);
    expect(await store.readTail(place.position - 1, 1)).toEqual([event]);
    expect(await store.lastPosition()).toBe(place.position);
    expect(await store.readPosition(place.position + 1)).toBeUndefined();
  });

  test("1,000 concurrent appends to 10 conversations have seqs without gaps, and positions that rise", async () => {
    const { store } = tested();
    const from = await store.lastPosition();
    const peers = Array.from({ length: 10 }, () => unique("peer"));
    const results = await Promise.all(
      Array.from({ length: 1000 }, (_, n) =>
        store.append(toUser("crowd", peers[n % 10] as string, { body: bodyOf(String(n)) })),
      ),
    );
    const positions = results.map((result) => result.position);
    expect(positions).toEqual(Array.from({ length: 1000 }, (_, n) => from + 1 + n));
    for (const [p, peer] of peers.entries()) {
      const events = await store.readSeqs(toUser("crowd", peer).conversationId, range());
      expect(events.map((event) => event.seq)).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
      // The order of calls is the order of the log.
      expect(events.map((event) => new TextDecoder().decode(event.body))).toEqual(
        Array.from({ length: 100 }, (_, n) => String(n * 10 + p)),
      );
    }
  });

  test("listeners get every appended event once, in order, before its write resolves", async () => {
    const { store } = tested();
    const seen: LogEvent[] = [];
    store.onAppended((events) => seen.push(...events));
    const [a, b, groupId] = [unique("a"), unique("b"), unique("g")];
    const draft = toUser(a, b, { clientMessageId: "1" });
    const first = await store.append(draft);
    expect(seen).toEqual([await store.readPosition(first.position)]);
    await Promise.all([
      store.append(draft),
      groupChanges(store).createGroup(groupId, a, settings(), [b]),
      refused(groupChanges(store).joinGroup(groupId, b), ErrorReason.ALREADY_A_MEMBER),
      store.append(toGroup(b, groupId)),
    ]);
    expect(seen).toEqual(await store.readTail(first.position - 1, 10));
    expect(seen).toHaveLength(4);
  });

  test("listeners get events that were committed together at once, without gaps between them", async () => {
    const { store } = tested();
    const from = await store.lastPosition();
    const runs: number[][] = [];
    const stopListening = store.onAppended((events) => runs.push(events.map(({ position }) => position)));
    const [a, b, groupId] = [unique("a"), unique("b"), unique("g")];
    const sends = Array.from({ length: 50 }, () => store.append(toUser(a, b)));
    await Promise.all([...sends, groupChanges(store).createGroup(groupId, a, settings(), [b])]);
    stopListening();
    await store.append(toUser(a, b));
    expect(runs.flat()).toEqual(Array.from({ length: 52 }, (_, n) => from + n + 1));
    for (const run of runs) expect(run).toEqual(run.map((_, n) => (run[0] as number) + n));
    expect(runs.some((run) => run.includes(from + 51) && run.includes(from + 52))).toBe(true);
  });

  test("texts that clients choose freely may hold any character, NUL too", async () => {
    const { store } = tested();
    const [a, b, groupId] = [unique("a"), unique("b"), unique("g")];
    const draft = toUser(a, b, { clientMessageId: "1\u0000\ud83d\ude00'\\" });
    const first = await store.append(draft);
    expect(await store.append(draft)).toEqual({ ...first, duplicate: true });
    expect(await store.append({ ...draft, clientMessageId: "1" })).toMatchObject({ duplicate: false });
    const name = "a\u0000b'\\";
    await groupChanges(store).createGroup(
      groupId,
      a,
      settings({ name, attributes: { "\u0000": "\u0000" } }),
      [],
    );
    expect(await store.getGroup(groupId)).toMatchObject({ name, attributes: { "\u0000": "\u0000" } });
    expect(await store.openDevice(a, "d", 1, name)).toMatchObject({ name });
    // Ids of conversations come from clients as well; these are none.
    const none = "d:a\u0000:b";
    expect(await store.access(a, none)).toBeUndefined();
    expect(await store.getConversation(a, none)).toBeUndefined();
    expect(await store.readSeqs(none, range())).toEqual([]);
    expect(await store.seqAtTime(none, 0)).toBe(1);
    await refused(store.markRead(a, none, 1), ErrorReason.CONVERSATION_NOT_FOUND);
  });

  test("a message is found by its sender and clientMessageId", async () => {
    const { store } = tested();
    const [a, b] = [unique("a"), unique("b")];
    const draft = toUser(a, b, { clientMessageId: "\u0000\ud83d\ude00'" });
    const appended = await store.append(draft);
    await store.append(toUser(a, b));
    const found = await store.findMessage(a, draft.clientMessageId);
    expect(found).toEqual(await store.readPosition(appended.position));
    expect(Buffer.compare(found?.body ?? Buffer.alloc(0), draft.body)).toBe(0);
    for (const [sender, id] of [
      [b, draft.clientMessageId],
      [a, "other"],
      [a, ""],
      [`${a}\0`, draft.clientMessageId],
    ] as const)
      expect(await store.findMessage(sender, id)).toBeUndefined();
  });

  test("a repeated clientMessageId is accepted once", async () => {
    const { store } = tested();
    const draft = toUser(unique("a"), unique("b"), { clientMessageId: "id" });
    const first = await store.append(draft);
    expect(await store.append(draft)).toEqual({ ...first, duplicate: true });
    expect(await store.readSeqs(draft.conversationId, range())).toHaveLength(1);
  });

  test("of concurrent repeats one is stored, and all get its place", async () => {
    const { store } = tested();
    const draft = toUser(unique("a"), unique("b"), { clientMessageId: "id" });
    const results = await Promise.all(Array.from({ length: 100 }, () => store.append(draft)));
    expect(results.filter((result) => !result.duplicate)).toHaveLength(1);
    expect(new Set(results.map((result) => result.position)).size).toBe(1);
    expect((await store.append({ ...draft, clientMessageId: "other" })).seq).toBe(2);
  });

  test("a repeat is known after the store was opened again, and the store keeps its names", async () => {
    const { epoch, salt } = tested().store;
    expect(epoch).toMatch(/^[a-z2-7]{10}$/);
    const draft = toUser(unique("a"), unique("b"), { clientMessageId: "id" });
    const first = await tested().store.append(draft);
    await tested().reopen();
    const { store } = tested();
    expect(await store.append(draft)).toEqual({ ...first, duplicate: true });
    expect(await store.append({ ...draft, clientMessageId: "2" })).toMatchObject({ seq: 2 });
    expect([store.epoch, store.salt]).toEqual([epoch, salt]);
  });

  test("messages without clientMessageId are never duplicates; the same id of another sender is another", async () => {
    const { store } = tested();
    const [a, b] = [unique("a"), unique("b")];
    const seqs: number[] = [];
    for (const draft of [toUser(a, b), toUser(a, b), toUser(a, b, { clientMessageId: "1" })]) {
      seqs.push((await store.append(draft)).seq);
    }
    seqs.push((await store.append(toUser(b, a, { clientMessageId: "1" }))).seq);
    expect(seqs).toEqual([1, 2, 3, 4]);
  });

  test("a clientMessageId cannot be used for another body or conversation, which then is not even begun", async () => {
    const { store } = tested();
    const [a, b, c] = [unique("a"), unique("b"), unique("c")];
    const draft = toUser(a, b, { clientMessageId: "id" });
    const [, other, elsewhere, next] = await Promise.allSettled([
      store.append(draft),
      store.append({ ...draft, body: bodyOf("other") }),
      store.append(toUser(a, c, { clientMessageId: "id" })),
      store.append(toUser(a, b)),
    ]);
    for (const result of [other, elsewhere]) {
      expect(result).toMatchObject({ reason: { reason: ErrorReason.CLIENT_MESSAGE_ID_REUSED } });
    }
    expect(next).toMatchObject({ value: { seq: 2 } });
    expect(await store.access(a, toUser(a, c).conversationId)).toBeUndefined();
    expect(await store.access(c, toUser(a, c).conversationId)).toBeUndefined();
  });

  test("a repeat gets its answer even after the sender left the group, and a new message does not", async () => {
    const { store } = tested();
    const { groupId, m } = await createStaffedGroup(store);
    const draft = toGroup(m, groupId, { clientMessageId: "id" });
    const first = await store.append(draft);
    await groupChanges(store).leaveGroup(groupId, m);
    expect(await store.append(draft)).toEqual({ ...first, duplicate: true });
    await refused(store.append({ ...draft, body: bodyOf("x") }), ErrorReason.CLIENT_MESSAGE_ID_REUSED);
    await refused(store.append({ ...draft, clientMessageId: "2" }), ErrorReason.NOT_A_MEMBER);
  });

  test("a reply needs a message of the same conversation that the sender may read", async () => {
    const { store } = tested();
    const [a, b, c] = [unique("a"), unique("b"), unique("c")];
    const target = await store.append(toUser(a, b));
    const place = { position: target.position, acceptTimeMs: target.acceptTimeMs };
    expect(await store.append(toUser(b, a, { replyTo: place }))).toMatchObject({ seq: 2 });
    const missing = ErrorReason.REPLY_TARGET_NOT_FOUND;
    await refused(store.append(toUser(a, c, { replyTo: place })), missing);
    expect(await store.access(a, toUser(a, c).conversationId)).toBeUndefined();
    await refused(store.append(toUser(a, b, { replyTo: { ...place, position: 1e9 } })), missing);
    await refused(store.append(toUser(a, b, { replyTo: { ...place, acceptTimeMs: 1 } })), missing);

    const { groupId, m, o, x } = await createStaffedGroup(store);
    const old = await store.append(toGroup(m, groupId));
    const { events } = await groupChanges(store).joinGroup(groupId, x);
    expect(await store.append(toGroup(o, groupId, { replyTo: old }))).toMatchObject({ duplicate: false });
    await refused(store.append(toGroup(x, groupId, { replyTo: old })), missing);
    await refused(store.append(toGroup(o, groupId, { replyTo: events[0] as LogEvent })), missing);
  });

  test("a range of seqs is taken from either end, and of messages alone if asked", async () => {
    const { store } = tested();
    const { groupId, conversationId, m } = await createStaffedGroup(store);
    for (let n = 0; n < 6; n++) await store.append(toGroup(m, groupId));
    const seqs = async (change: Parameters<typeof range>[0]) =>
      (await store.readSeqs(conversationId, range(change))).map((event) => event.seq);
    expect(await seqs({})).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(await seqs({ limit: 3 })).toEqual([1, 2, 3]);
    expect(await seqs({ limit: 3, fromEnd: true })).toEqual([8, 9, 10]);
    expect(await seqs({ afterSeq: 4, beforeSeq: 8 })).toEqual([5, 6, 7]);
    expect(await seqs({ beforeSeq: 7, limit: 3, messagesOnly: true, fromEnd: true })).toEqual([5, 6]);
    expect(await seqs({ limit: 2, messagesOnly: true })).toEqual([5, 6]);
    // Bodies of five bytes; that which exceeds the bound is the last.
    expect(await seqs({ messagesOnly: true, maxBytes: 9 })).toEqual([5, 6]);
    expect(await seqs({ messagesOnly: true, maxBytes: 10 })).toEqual([5, 6, 7]);
    expect(await seqs({ messagesOnly: true, maxBytes: 10, limit: 2, fromEnd: true })).toEqual([9, 10]);
    expect(await seqs({ messagesOnly: true, maxBytes: 0, fromEnd: true })).toEqual([10]);
    expect(await store.readSeqs(unique("none"), range())).toEqual([]);
  });

  test("the first seq at a time is found", async () => {
    const { store } = tested();
    const draft = toUser(unique("a"), unique("b"));
    const times: number[] = [];
    for (let n = 0; n < 5; n++) {
      times.push((await store.append(draft)).acceptTimeMs);
      const passed = times.at(-1) as number;
      while (Date.now() <= passed) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    for (const [n, time] of times.entries()) {
      expect(await store.seqAtTime(draft.conversationId, time)).toBe(n + 1);
      expect(await store.seqAtTime(draft.conversationId, time + 1)).toBe(n + 2);
    }
    expect(await store.seqAtTime(draft.conversationId, 0)).toBe(1);
    expect(await store.seqAtTime(unique("none"), 0)).toBe(1);
  });
}
