/**
 * The seed of every random choice in the tests. One number, printed at the
 * start, makes a failed run repeatable: `PARLANCE_TEST_SEED=123 npm test`.
 */

import { inject } from "vitest";
import { createRandom } from "./random.ts";

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
  return createRandom(seed(), name);
}
