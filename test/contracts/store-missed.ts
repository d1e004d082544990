import fc from "fast-check";
import { expect, test } from "vitest";
import { type MissedConversation, type MissedPage, Role } from "../../src/model/records.ts";
import type { Store } from "../../src/store/store.ts";
import type { LogEvent } from "../../wire/log-event.ts";
import { groupChanges } from "../support/group-changes.ts";
import { seed } from "../support/seed.ts";
import type { StoreUnderTest } from "./store.ts";
import { type Action, actions, MembershipModel } from "./store-model.ts";
import { bodyOf, createStaffedGroup, toGroup, toUser, unique } from "./store-support.ts";

export function missedTests(tested: () => StoreUnderTest): void {
  test("pages of any size give exactly the events of a user's stays, whatever happened", async () => {
    const { store } = tested();
    await fc.assert(
      fc.asyncProperty(actions, fc.nat(), async (list, start) => {
        const model = new MembershipModel(unique("run"));
        const before = await store.lastPosition();
        await perform(store, model, list);
        for (const userId of model.userIds) {
          await comparePages(store, model, userId, before + (start % (model.log.length + 1)));
        }
      }),
      { numRuns: 60, seed: seed() },
    );
  });

  test("a page ends when its bodies exceed maxBytes, and the next one goes on", async () => {
    const { store } = tested();
    const [a, b] = [unique("a"), unique("b")];
    const draft = toUser(a, b, { body: new Uint8Array(1000) });
    const places = await Promise.all(Array.from({ length: 5 }, () => store.append(draft)));
    const first = await store.readMissed(b, 0, 100, 1500);
    expect(first).toMatchObject({
      events: [{ seq: 1 }, { seq: 2 }],
      through: places[1]?.position,
      more: true,
    });
    const second = await store.readMissed(b, first.through, 100, 0);
    expect(second).toMatchObject({ events: [{ seq: 3 }], more: true });
    const last = await store.readMissed(b, second.through, 2, 1e6);
    expect(last).toMatchObject({
      events: [{ seq: 4 }, { seq: 5 }],
      more: false,
      through: await store.lastPosition(),
    });
    expect(await store.readMissed(unique("nobody"), 0, 10, 1e6)).toEqual({
      events: [],
      withheld: [],
      through: last.through,
      more: false,
    });
  });

  test("a member who was removed gets the event that says so, and no more", async () => {
    const { store } = tested();
    const { groupId, o, m } = await createStaffedGroup(store);
    const { position } = await store.append(toGroup(o, groupId));
    const { events } = await groupChanges(store).removeMembers(groupId, o, [m]);
    await store.append(toGroup(o, groupId));
    const page = await store.readMissed(m, position - 1, 100, 1e6);
    expect(page.events.map((event) => event.seq)).toEqual([5, 6]);
    expect(page.events[1]).toEqual(events[0]);
    expect(await store.listMissed(m, position - 1, 0, 100, 1e6)).toEqual({
      conversations: [{ conversationId: `g:${groupId}`, firstSeq: 5, lastSeq: 6, ended: events[0] }],
      next: undefined,
    });
  });

  test("a page of what was missed ends when the events in it exceed maxBytes, and the next one goes on", async () => {
    const { store } = tested();
    const after = await store.lastPosition();
    const staffed = [await createStaffedGroup(store), await createStaffedGroup(store)];
    const userId = unique("leaver");
    for (const { groupId, o } of staffed) {
      await groupChanges(store).addMembers(groupId, o, [userId], Role.MEMBER);
      await groupChanges(store).leaveGroup(groupId, userId);
    }
    const first = await store.listMissed(userId, after, 0, 100, 0);
    const second = await store.listMissed(userId, after, first.next ?? 0, 100, 0);
    expect([...first.conversations, ...second.conversations].map((each) => each.conversationId)).toEqual(
      staffed.map(({ groupId }) => `g:${groupId}`),
    );
    expect([first.conversations.length, second.next]).toEqual([1, undefined]);
  });

  test("the first unread position is before the first message of others above what was read", async () => {
    const { store } = tested();
    const [a, b, c] = [unique("a"), unique("b"), unique("c")];
    expect(await store.firstUnreadPosition(a)).toBe(await store.lastPosition());
    await store.append(toUser(a, b));
    const fromB = await store.append(toUser(b, a));
    await store.append(toUser(c, a));
    expect(await store.firstUnreadPosition(a)).toBe(fromB.position - 1);
    await store.markRead(a, toUser(a, b).conversationId, 2);
    expect(await store.firstUnreadPosition(a)).toBe(fromB.position);
    await store.markRead(a, toUser(a, c).conversationId, 1);
    expect(await store.firstUnreadPosition(a)).toBe(await store.lastPosition());

    const { groupId, m, x } = await createStaffedGroup(store, { historyForNewMembers: true });
    await store.append(toGroup(m, groupId));
    await groupChanges(store).joinGroup(groupId, x);
    const next = await store.append(toGroup(m, groupId));
    expect(await store.firstUnreadPosition(x)).toBe(next.position - 1);
  });
}

/** Performs actions without waiting in between, and checks that those refused are those that should be. */
async function perform(store: Store, model: MembershipModel, list: readonly Action[]): Promise<void> {
  const results = await Promise.allSettled(list.map((action) => start(store, model, action)));
  for (const [n, result] of results.entries()) {
    const action = list[n] as Action;
    const expected = model.perform(action);
    expect([action, result.status]).toEqual([action, expected ? "fulfilled" : "rejected"]);
  }
}

function start(store: Store, model: MembershipModel, action: Action): Promise<unknown> {
  const userId = model.userIds[action.user] as string;
  const otherId = model.userIds[action.other] as string;
  const groupId = model.groupIds[action.group] as string;
  switch (action.type) {
    case "create":
      return groupChanges(store).createGroup(groupId, userId, model.settings, [otherId]);
    case "join":
      return groupChanges(store).joinGroup(groupId, userId);
    case "leave":
      return groupChanges(store).leaveGroup(groupId, userId);
    case "add":
      return groupChanges(store).addMembers(groupId, userId, [otherId], Role.MEMBER);
    case "remove":
      return groupChanges(store).removeMembers(groupId, userId, [otherId]);
    case "disband":
      return groupChanges(store).disbandGroup(groupId, userId);
    case "sendGroup":
      return store.append(toGroup(userId, groupId, { body: bodyOf(JSON.stringify(action)) }));
    case "sendDirect":
      return store.append(toUser(userId, otherId, { body: bodyOf(JSON.stringify(action)) }));
  }
}

/** Reads what a user missed with several sizes of pages and compares it with the model. */
async function comparePages(
  store: Store,
  model: MembershipModel,
  userId: string,
  after: number,
): Promise<void> {
  const base = (await store.lastPosition()) - model.log.length;
  const expected = model.visibleTo(userId).filter((event) => base + event.number > after);
  for (const limit of [1, 7, 1000]) {
    const events: LogEvent[] = [];
    for (let position = after, more = true; more; ) {
      const page = await store.readMissed(userId, position, limit, 1e6);
      expect(page.events.length).toBeLessThanOrEqual(limit);
      if (page.more) expect(page.through).toBe(page.events.at(-1)?.position);
      events.push(...page.events);
      ({ through: position, more } = page);
      if (!more) expect(position).toBe(base + model.log.length);
    }
    const got = events.map(({ conversationId, seq, position }) => ({
      conversationId,
      seq,
      number: position - base,
    }));
    expect(got).toEqual(expected);
    const { count, through } = await store.countMissed(userId, after, limit);
    expect(count).toBe(Math.min(expected.length, limit + 1));
    expect(through).toBe(base + model.log.length);
    await compareConversations(store, userId, after, limit, expected);
  }
}

/** Lists where a user missed something, with pages of a size, and compares it with the events they missed. */
async function compareConversations(
  store: Store,
  userId: string,
  after: number,
  limit: number,
  expected: readonly { conversationId: string; seq: number }[],
): Promise<void> {
  const listed: MissedConversation[] = [];
  for (let from: number | undefined = 0; from !== undefined; ) {
    const page: MissedPage = await store.listMissed(userId, after, from, limit, 1e6);
    expect(page.conversations.length).toBeLessThanOrEqual(limit);
    listed.push(...page.conversations);
    from = page.next;
  }
  const seqs = Map.groupBy(expected, ({ conversationId }) => conversationId);
  expect(new Set(listed.map(({ conversationId }) => conversationId))).toEqual(new Set(seqs.keys()));
  expect(listed).toHaveLength(seqs.size);
  for (const { conversationId, firstSeq, lastSeq, ended } of listed) {
    const missed = seqs.get(conversationId) ?? [];
    expect([firstSeq, lastSeq]).toEqual([missed[0]?.seq, missed.at(-1)?.seq]);
    const isMember = (await store.access(userId, conversationId)) !== undefined;
    expect(ended?.seq).toBe(isMember ? undefined : lastSeq);
  }
}
