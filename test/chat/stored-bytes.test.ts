import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { StoredBytes } from "../../src/chat/stored-bytes.ts";
import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { Store } from "../../src/store/store.ts";

let folder: string;
let store: Store;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "parlance-bytes-"));
  store = await createSqliteStore({ path: join(folder, "parlance.db") });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const storedBy = async (userId: string) =>
  (await store.addStoredBytes([{ userId, bytes: 0 }])).get(userId) as number;

test("nodes add up what a user stores, and learn of each other", async () => {
  const [one, other] = [new StoredBytes(store, 200_000), new StoredBytes(store, 200_000)];
  for (const node of [one, other]) node.add("a", 1);
  for (const node of [one, other]) await node.flush();
  one.add("a", 70_000);
  await one.flush();
  other.add("a", 130_000);
  // Of what the first node told meanwhile the other hears when it tells of its own.
  expect(other.refusalOf("a")).toBeUndefined();
  await other.flush();
  expect(other.refusalOf("a")?.message).toContain("maxStoredBytesPerUser: at most 200000 bytes");
  expect(other.refusalOf("b")).toBeUndefined();
  expect(one.refusalOf("a")).toBeUndefined();
  one.add("a", 65_536);
  await one.flush();
  expect(one.refusalOf("a")).toBeDefined();
  expect(await storedBy("a")).toBe(265_538);
});

test("the store is told of a user's first bytes, then of every 64 KiB, and of all in the end", async () => {
  const node = new StoredBytes(store, 1e9);
  node.add("a", 10);
  await node.flush();
  expect(await storedBy("a")).toBe(10);
  for (let n = 0; n < 65; n++) {
    node.add("a", 1_000);
    await node.flush();
  }
  expect(await storedBy("a")).toBe(10);
  node.add("a", 1_000);
  await node.flush();
  expect(await storedBy("a")).toBe(66_010);
  node.add("a", 1);
  await node.flush(true);
  await node.flush(true);
  expect(await storedBy("a")).toBe(66_011);
});

test("of users beyond those kept in memory nothing is lost, however many they are", async () => {
  const node = new StoredBytes(store, 1e9);
  const users = Array.from({ length: 100_500 }, (_, n) => `u${n}`);
  for (const user of users) node.add(user, 1);
  await node.flush();
  for (const user of users) node.add(user, 2);
  await node.flush(true);
  const totals = await store.addStoredBytes(users.map((userId) => ({ userId, bytes: 0 })));
  expect(new Set(totals.values())).toEqual(new Set([3]));
});

test("what the store may have been told is not told again, and counts here", async () => {
  let fails = true;
  const node = new StoredBytes(
    {
      async addStoredBytes(entries) {
        const totals = await store.addStoredBytes(entries);
        if (fails) throw new Error("the answer was lost");
        return totals;
      },
    },
    100,
  );
  node.add("a", 100);
  await expect(node.flush()).rejects.toThrow("the answer was lost");
  expect(node.refusalOf("a")).toBeDefined();
  fails = false;
  await node.flush(true);
  expect(await storedBy("a")).toBe(100);
});
