/**
 * Makes a generator of numbers from 0 to below 1 that follow from a seed and a
 * name, so that each user of a seed draws the same ones whatever runs beside it.
 */
export function createRandom(seed: number, name: string): () => number {
  let state = seed;
  for (const unit of name) state = Math.imul(state ^ (unit.codePointAt(0) ?? 0), 0x01000193);
  // Mulberry32: small, and good enough to choose moments and messages.
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x100000000;
  };
}

/** Draws one of a list that is not empty. */
export function pick<T>(random: () => number, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}
