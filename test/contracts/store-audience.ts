import { expect, test } from "vitest";
import { groupChanges } from "../support/group-changes.ts";
import type { StoreUnderTest } from "./store.ts";
import { createStaffedGroup, toGroup, toUser, unique } from "./store-support.ts";

/** Events of later releases that are not for everybody who gets the events around them. */
export function audienceTests(tested: () => StoreUnderTest): void {
  /** The seqs of what a user gets of a conversation from its beginning, and of what is withheld of that. */
  async function missedBy(userId: string) {
    const { events, withheld } = await tested().store.readMissed(userId, 0, 1_000, 1e6);
    const hidden = new Set(withheld);
    return {
      seqs: events.map(({ seq }) => seq),
      withheld: events.filter(({ position }) => hidden.has(position)).map(({ seq }) => seq),
    };
  }

  test("an event about a message is withheld from members who may not read that message", async () => {
    const { groupId, conversationId, o, m, x } = await createStaffedGroup(tested().store);
    const { seq: early } = await tested().store.append(toGroup(o, groupId));
    const { members } = await groupChanges(tested().store).joinGroup(groupId, x);
    const { seq: late } = await tested().store.append(toGroup(o, groupId));
    expect(members[0]?.visibleFromSeq).toBeGreaterThan(early);
    await tested().appendUnknown(conversationId, { aboutSeq: early });
    await tested().appendUnknown(conversationId, { aboutSeq: late });
    await tested().appendUnknown(conversationId, undefined);
    expect((await missedBy(m)).withheld).toEqual([]);
    const { seqs, withheld } = await missedBy(x);
    expect(seqs.slice(-3)).toEqual([late + 1, late + 2, late + 3]);
    expect(withheld).toEqual([late + 1]);
  });

  test("an event for some is withheld from all others, also from those who have left since", async () => {
    const { groupId, conversationId, o, a, m } = await createStaffedGroup(tested().store);
    const { seq } = await tested().store.append(toGroup(o, groupId));
    await tested().appendUnknown(conversationId, { userIds: [a, 'a "quoted" one'] });
    await tested().appendUnknown(conversationId, { userIds: [] });
    await groupChanges(tested().store).leaveGroup(groupId, m);
    expect((await missedBy(a)).withheld).toEqual([seq + 2]);
    expect((await missedBy(o)).withheld).toEqual([seq + 1, seq + 2]);
    expect((await missedBy(m)).withheld).toEqual([seq + 1, seq + 2]);
    expect((await missedBy(m)).seqs).toContain(seq + 3);
  });

  test("of an earlier stay a user gets what is about messages of that stay", async () => {
    const { groupId, conversationId, o, m } = await createStaffedGroup(tested().store);
    const { seq } = await tested().store.append(toGroup(o, groupId));
    await tested().appendUnknown(conversationId, { aboutSeq: seq });
    await groupChanges(tested().store).leaveGroup(groupId, m);
    await tested().store.append(toGroup(o, groupId));
    await groupChanges(tested().store).joinGroup(groupId, m);
    await tested().appendUnknown(conversationId, { aboutSeq: seq });
    const { seqs, withheld } = await missedBy(m);
    expect(withheld).toEqual([seqs.at(-1)]);
    expect(seqs).toContain(seq + 1);
  });

  test("in a direct conversation both get what is about any message", async () => {
    const [a, b] = [unique("a"), unique("b")];
    const draft = toUser(a, b);
    await tested().store.append(draft);
    await tested().appendUnknown(draft.conversationId, { aboutSeq: 1 });
    await tested().appendUnknown(draft.conversationId, { aboutSeq: 1, userIds: [b] });
    expect(await missedBy(a)).toEqual({ seqs: [1, 2, 3], withheld: [3] });
    expect(await missedBy(b)).toEqual({ seqs: [1, 2, 3], withheld: [] });
  });

  test("the end of the log tells whom events are for", async () => {
    const draft = toUser(unique("a"), unique("b"));
    const { position } = await tested().store.append(draft);
    const audiences = [{ aboutSeq: 1 }, undefined, { userIds: ["a", "b\0"] }, { aboutSeq: 3, userIds: [] }];
    for (const audience of audiences) await tested().appendUnknown(draft.conversationId, audience);
    const events = await tested().store.readTail(position, 10);
    expect(events.map(({ audience }) => audience)).toEqual(audiences);
  });
}
