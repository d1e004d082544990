import { expect, test } from "vitest";
import { Semaphore } from "../../src/live/semaphore.ts";

test("at most so many run at a time, in the order in which they came, and one that fails makes room", async () => {
  const reads = new Semaphore(2);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  let running = 0;
  let most = 0;
  const work = (n: number) => async () => {
    begun.push(n);
    most = Math.max(most, ++running);
    await new Promise<void>((resolve) => ends.push(resolve));
    running--;
    if (n === 1) throw new Error("broken");
    return n;
  };
  const results = Promise.allSettled([1, 2, 3, 4, 5].map((n) => reads.run(work(n))));
  while (begun.length < 5 || ends.length > 0) {
    ends.shift()?.();
    await new Promise(setImmediate);
  }
  expect((await results).map((result) => (result.status === "fulfilled" ? result.value : "failed"))).toEqual([
    "failed",
    2,
    3,
    4,
    5,
  ]);
  expect(begun).toEqual([1, 2, 3, 4, 5]);
  expect(most).toBe(2);
});
