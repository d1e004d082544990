export { createRandom } from "../../src/fail-points.ts";

/** Draws one of a list that is not empty. */
export function pick<T>(random: () => number, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}
