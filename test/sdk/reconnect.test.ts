import { expect, test } from "vitest";
import { Backoff } from "../../clients/typescript/reconnect.ts";

test("each wait is drawn from a ceiling that doubles up to the cap", () => {
  const backoff = new Backoff({ baseMs: 100, capMs: 1_000, random: () => 0.5 });
  expect([1, 2, 3, 4, 5, 6].map(() => backoff.next())).toEqual([50, 100, 200, 400, 500, 500]);
});

test("a wait may be next to nothing, so that clients spread over the whole time", () => {
  expect(new Backoff({ random: () => 0 }).next()).toBe(0);
});

test("what the server asks for comes before the jitter", () => {
  const backoff = new Backoff({ baseMs: 100, random: () => 0.5 });
  expect(backoff.next(2_000)).toBe(2_050);
});

test("after a success the waits begin anew", () => {
  const backoff = new Backoff({ baseMs: 100, random: () => 0.5 });
  backoff.next();
  backoff.next();
  backoff.reset();
  expect(backoff.next()).toBe(50);
});

test("the ceiling stays at the cap however often it fails", () => {
  const backoff = new Backoff({ random: () => 0.999 });
  for (let i = 0; i < 5_000; i++) expect(backoff.next()).toBeLessThan(10_000);
});
