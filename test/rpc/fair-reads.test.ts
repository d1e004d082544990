import { expect, test } from "vitest";
import { FairReads } from "../../src/rpc/fair-reads.ts";

/** Reads that end when they are told to, in the order in which they began. */
function createReads() {
  const reads = new FairReads();
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const begin = (userId: string) =>
    reads.run(userId, () => {
      begun.push(userId);
      return new Promise<void>((resolve) => ends.push(resolve));
    });
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  return { reads, begun, ends, begin, turn };
}

test("one user's many reads leave others their turn, at once", async () => {
  const { reads, begun, ends, begin, turn } = createReads();
  const all = Array.from({ length: 100 }, () => begin("greedy"));
  await turn();
  const underWay = begun.length;
  expect(underWay).toBeLessThan(10);
  all.push(begin("modest"));
  await turn();
  expect(begun.slice(underWay)).toEqual(["modest"]);
  for (let i = 0; i < all.length; i++) {
    ends[i]?.();
    await turn();
  }
  await Promise.all(all);
  expect(begun).toHaveLength(101);
  expect(reads.size).toBe(0);
});

test("many users who wait are served in turn", async () => {
  const { begun, ends, begin, turn } = createReads();
  const users = Array.from({ length: 40 }, (_, i) => `user-${i}`);
  const all = users.flatMap((user) => Array.from({ length: 8 }, () => begin(user)));
  await turn();
  const late = begin("late");
  for (let i = 0; !begun.includes("late"); i++) {
    ends[i]?.();
    await turn();
    // Each of the others has had at most a read or two since.
    expect(i).toBeLessThan(2 * users.length);
  }
  for (let i = 0; i < all.length + 1; i++) {
    ends[i]?.();
    await turn();
  }
  await Promise.all([...all, late]);
});

test("what fails gives its place to the next, and nothing stays behind", async () => {
  const { reads, turn } = createReads();
  const all = Array.from({ length: 50 }, () =>
    reads.run("alice", () => Promise.reject(new Error("as planned"))).catch(() => "failed"),
  );
  expect(await Promise.all(all)).toEqual(Array(50).fill("failed"));
  await turn();
  expect(reads.size).toBe(0);
});
