import { expect, test } from "vitest";
import { ErrorReason } from "../../src/model/errors.ts";
import { groupChanges } from "../support/group-changes.ts";
import type { StoreUnderTest } from "./store.ts";
import { createStaffedGroup, range, refused, toGroup, toUser, unique } from "./store-support.ts";

export function stateTests(tested: () => StoreUnderTest): void {
  test("a probe succeeds while the store can write, among other writes, and leaves nothing in the log", async () => {
    const { store } = tested();
    const sender = unique("sender");
    const before = await store.lastPosition();
    const { conversationId } = toUser(sender, "b");
    await Promise.all([store.probe(), store.append(toUser(sender, "b")), store.probe(), store.probe()]);
    expect(await store.lastPosition()).toBe(before + 1);
    await tested().reopen();
    expect(await tested().store.readSeqs(conversationId, range())).toHaveLength(1);
    await tested().store.probe();
  });

  test("a write that is refused is no failure of the store", async () => {
    const { store } = tested();
    const failures: unknown[] = [];
    const stopListening = store.onWriteFailed((error) => failures.push(error));
    const { groupId, x } = await createStaffedGroup(store);
    await refused(store.append(toGroup(x, groupId)), ErrorReason.NOT_A_MEMBER);
    await refused(groupChanges(store).disbandGroup(groupId, x), ErrorReason.NOT_A_MEMBER);
    expect(failures).toEqual([]);
    stopListening();
  });
}
