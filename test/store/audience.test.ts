import { expect, test } from "vitest";
import { audienceOf, maySee } from "../../src/rules/audience.ts";

test("an event that says nothing of an audience has none", () => {
  expect(audienceOf({ aboutSeq: null, onlyUserIds: null })).toBeUndefined();
});

test.each(["", "[", '"alice"', "5", "null", '{"alice": 1}', "[1, null]"])(
  "a list of users that is none, %j, names nobody, and no part of it",
  (onlyUserIds) => {
    const audience = audienceOf({ aboutSeq: null, onlyUserIds });
    expect(audience).toEqual({ userIds: [] });
    for (const userId of ["alice", "a", "", "1"])
      expect(maySee({ userIds: [], ...audience }, userId, 1)).toBe(false);
  },
);

test("both conditions have to be true", () => {
  const audience = audienceOf({ aboutSeq: 7, onlyUserIds: '["alice"]' }) ?? {};
  expect(maySee(audience, "alice", 7)).toBe(true);
  expect(maySee(audience, "alice", 8)).toBe(false);
  expect(maySee(audience, "alice", Number.NaN)).toBe(false);
  expect(maySee(audience, "bob", 1)).toBe(false);
});
