import { expect, test } from "vitest";
import type { Note } from "../../../clients/model/state.ts";
import { listOf, sentenceOf } from "../../../clients/model/words.ts";
import { MembershipChange, Role } from "../../../clients/typescript/index.ts";

const note: Note = { kind: "note", seq: 1, timeMs: 0, actorId: "ann", change: "created", userIds: [] };
const { JOINED, ADDED, LEFT, REMOVED, UPDATED, UNSPECIFIED } = MembershipChange;

test.each<[Partial<Note>, string]>([
  [{ change: "created" }, "ann created the group"],
  [{ change: "settings" }, "ann changed the group’s settings"],
  [{ change: "disbanded" }, "ann disbanded the group"],
  [{ change: JOINED, userIds: ["ann"] }, "ann joined"],
  [{ change: ADDED, userIds: ["bob", "cid"] }, "ann added bob and cid"],
  // Whoever creates a group is its first member.
  [{ change: ADDED, userIds: ["ann", "bob"] }, "ann added bob"],
  [{ change: ADDED, userIds: ["ann"] }, "ann joined"],
  [{ change: LEFT, userIds: ["bob"] }, "bob left"],
  [{ change: REMOVED, userIds: ["bob"] }, "ann removed bob"],
  [{ change: UPDATED, userIds: ["bob"], role: Role.ADMIN }, "ann changed bob: now admin"],
  [{ change: UPDATED, userIds: ["bob", "ann"], role: Role.OWNER }, "ann changed bob and ann"],
  [{ change: UNSPECIFIED, userIds: ["bob"] }, "the members changed: bob"],
])("%o is told as: %s", (init, sentence) => {
  expect(sentenceOf({ ...note, ...init }, (userIds) => listOf(userIds, 6))).toBe(sentence);
});

test("names are joined as one says them, and not all of many", () => {
  expect(listOf([], 3)).toBe("");
  expect(listOf(["a"], 3)).toBe("a");
  expect(listOf(["a", "b", "c"], 3)).toBe("a, b and c");
  expect(listOf(["a", "b", "c", "d"], 3)).toBe("a, b and 2 others");
});
