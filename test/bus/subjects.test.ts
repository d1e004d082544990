import fc from "fast-check";
import { expect, test } from "vitest";
import { subjects } from "../../src/bus/bus.ts";
import { inboxOf, natsSubjectOf } from "../../src/bus/nats/subjects.ts";
import { seed } from "../support/seed.ts";

/** Any string of the language, also with halves of surrogate pairs, and ids that are easily confused. */
const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 10 })
    .map((units) => String.fromCharCode(...units)),
  fc.string({ unit: fc.constantFrom(".", "*", ">", "=", "~", " ", "a", "2", "e", "\n", "é"), maxLength: 8 }),
);

test("plain ids stay readable", () => {
  expect(natsSubjectOf("parlance", subjects.user("Alice_1-x"))).toBe("parlance.user.Alice_1-x");
  expect(natsSubjectOf("a.b", subjects.log)).toBe("a.b.log");
});

test("any subject has a legal NATS subject with as many tokens as its kind asks for", () => {
  fc.assert(
    fc.property(anyText, (id) => {
      const tokens = natsSubjectOf("p", subjects.user(id)).split(".");
      expect(tokens).toHaveLength(3);
      for (const token of tokens) expect(token).toMatch(/^[A-Za-z0-9_=~-]+$/);
    }),
    { seed: seed() },
  );
});

test("two subjects never share a NATS subject, nor one with the inbox", () => {
  fc.assert(
    fc.property(anyText, anyText, (a, b) => {
      expect(natsSubjectOf("p", a) === natsSubjectOf("p", b)).toBe(a === b);
      expect(natsSubjectOf("p", subjects.user(a)) === natsSubjectOf("p", subjects.group(a))).toBe(false);
      expect(natsSubjectOf("p", a).startsWith(inboxOf("p", ""))).toBe(false);
    }),
    { seed: seed(), numRuns: 500 },
  );
});

test("the longest ids fit in a NATS subject", () => {
  // A server takes 4,096 bytes for a command with one or two subjects.
  for (const id of [".".repeat(128), "é".repeat(64), "한".repeat(42), "😀".repeat(32)]) {
    expect(natsSubjectOf("p", subjects.presence(id)).length).toBeLessThan(500);
  }
});
