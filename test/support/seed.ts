/**
 * The seed of every random choice in the tests. One number, printed at the
 * start, makes a failed run repeatable: `PARLANCE_TEST_SEED=123 npm test`.
 */

import { inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    seed: number;
  }
}

/** Returns the run's seed, for `fc.assert(property, { seed: seed() })`. */
export function seed(): number {
  return inject("seed");
}

/**
 * Makes a generator of numbers from 0 to below 1 that follow from the run's
 * seed and a name, so that each test draws the same ones whatever runs beside
 * it.
 */
export function randomFor(name: string): () => number {
  let state = seed();
  for (const unit of name) state = Math.imul(state ^ (unit.codePointAt(0) ?? 0), 0x01000193);
  // Mulberry32: small, and good enough to choose moments and messages.
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x100000000;
  };
}
