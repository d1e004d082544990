import { expect, test } from "vitest";
import { Buckets } from "../../src/chat/buckets.ts";

const rates = [
  { perSecond: 10, atOnce: 20 },
  { perSecond: 0, atOnce: 0 },
];

test("as many are had at once as the bucket holds, then as many as time has passed for", () => {
  const buckets = new Buckets(rates, 0);
  const takenAt = (nowMs: number) =>
    Array.from({ length: 100 }, () => buckets.take("alice", 0, 1, nowMs)).filter((wait) => wait === 0).length;
  expect(takenAt(0)).toBe(20);
  expect(takenAt(99)).toBe(0);
  expect(takenAt(100)).toBe(1);
  expect(takenAt(1_100)).toBe(10);
  expect(takenAt(3_600_000)).toBe(20);
});

test("whoever comes again after the time they were told finds what they asked for", () => {
  const buckets = new Buckets(rates, 0);
  let nowMs = 1_000.3;
  for (const count of [20, 1, 7, 20, 3]) {
    const waitMs = buckets.take("alice", 0, count, nowMs);
    if (waitMs === 0) continue;
    expect(buckets.take("alice", 0, count, nowMs + waitMs - 0.01)).toBeGreaterThan(0);
    nowMs += waitMs;
    expect(buckets.take("alice", 0, count, nowMs)).toBe(0);
  }
});

test("one who was refused has lost nothing, and others are not concerned", () => {
  const buckets = new Buckets(rates, 0);
  buckets.take("alice", 0, 15, 0);
  expect(buckets.take("alice", 0, 10, 0)).toBe(500);
  expect(buckets.take("alice", 0, 5, 0)).toBe(0);
  expect(buckets.take("bob", 0, 20, 0)).toBe(0);
});

test("to ask for more than a bucket holds takes all of it", () => {
  const buckets = new Buckets(rates, 0);
  expect(buckets.take("alice", 0, 1_000, 0)).toBe(0);
  expect(buckets.take("alice", 0, 1_000, 0)).toBe(2_000);
});

test("what is owed has to be waited for", () => {
  const buckets = new Buckets(rates, 0);
  expect(buckets.waitMs("alice", 0, 0)).toBe(0);
  buckets.owe("alice", 0, 25, 0);
  expect(buckets.waitMs("alice", 0, 0)).toBe(600);
  expect(buckets.waitMs("alice", 0, 600)).toBe(0);
});

test("a rate of 0 is no limit", () => {
  const buckets = new Buckets(rates, 0);
  expect(
    Array.from({ length: 1_000 }, () => buckets.take("alice", 1, 1_000, 0)).every((wait) => wait === 0),
  ).toBe(true);
});

test("those who do nothing are forgotten, those who go on are not", () => {
  const buckets = new Buckets(rates, 0);
  for (let n = 0; n < 1_000; n++) buckets.take(`user-${n}`, 0, 1, n * 10);
  expect(buckets.size).toBe(1_000);
  for (let nowMs = 10_000; nowMs < 200_000; nowMs += 100) buckets.take("busy", 0, 1, nowMs);
  expect(buckets.size).toBe(1);
  buckets.take("busy", 0, 20, 200_000);
  expect(buckets.take("busy", 0, 20, 200_100)).toBeGreaterThan(0);
});

test("however many come, a bounded number is known, and the limit of one who goes on stays", () => {
  const buckets = new Buckets(rates, 0, 100);
  let taken = 0;
  for (let n = 0; n < 10_000; n++) {
    buckets.take(`user-${n}`, 0, 1, 1);
    if (buckets.take("busy", 0, 1, 1) === 0) taken++;
    expect(buckets.size).toBeLessThanOrEqual(200);
  }
  expect(taken).toBe(20);
});
