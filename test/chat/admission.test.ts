import { expect, test } from "vitest";
import { Admission } from "../../src/live/admission.ts";

/** How many of so many that come at once are let in, and after what times the others are to come again. */
function storm(admission: Admission, count: number, nowMs: number) {
  const waits = Array.from({ length: count }, () => admission.enter(nowMs));
  const turnedAway = waits.filter((wait) => wait !== undefined);
  return { entered: count - turnedAway.length, turnedAway };
}

test("as many enter at once as may per second, then as many as time has passed for", () => {
  const admission = new Admission(100, 0);
  expect(storm(admission, 300, 0).entered).toBe(100);
  expect(storm(admission, 300, 100).entered).toBe(10);
  expect(storm(admission, 300, 105).entered).toBe(0);
  expect(storm(admission, 300, 110).entered).toBe(1);
  expect(storm(admission, 300, 3_600_000).entered).toBe(100);
});

test("those who are turned away are told to come again one after another, and not for ever", () => {
  const admission = new Admission(100, 0);
  const { turnedAway } = storm(admission, 5_000, 0);
  for (const [n, waitMs] of turnedAway.entries()) {
    const placeMs = Math.min((n + 1) * 10, 10_000);
    expect(waitMs).toBeGreaterThanOrEqual(placeMs);
    expect(waitMs).toBeLessThanOrEqual(Math.ceil(placeMs * 1.5));
  }
  // Those told the longest wait are spread over it.
  expect(new Set(turnedAway.slice(1_000)).size).toBeGreaterThan(1_000);
});

test("those who come again when they were told are in after as long as the limit takes", () => {
  const admission = new Admission(100, 0);
  const coming = Array.from({ length: 1_000 }, () => 0);
  let tries = 0;
  let lastMs = 0;
  while (coming.length > 0) {
    coming.sort((a, b) => b - a);
    const nowMs = coming.pop() as number;
    const waitMs = admission.enter(nowMs);
    tries++;
    lastMs = nowMs;
    if (waitMs !== undefined) coming.push(nowMs + waitMs);
  }
  expect(lastMs).toBeGreaterThan(9_000 - 10);
  expect(lastMs).toBeLessThan(20_000);
  expect(tries).toBeLessThan(3_000);
});

test("without a limit everyone enters", () => {
  expect(storm(new Admission(0, 0), 10_000, 0).entered).toBe(10_000);
});
