/** The bytes of an answer beyond its items: the next page's token and a number or two. */
const restBytes = 512;

/**
 * Returns how many items, from the first, go into one answer: as many as are
 * not larger than it may be, and at least one.
 *
 * @param sizeOf at least the bytes that an item takes when encoded
 * @param maxBytes the largest answer
 */
export function countWithin<Item>(
  items: readonly Item[],
  sizeOf: (item: Item) => number,
  maxBytes: number,
): number {
  let bytes = restBytes;
  for (const [count, item] of items.entries()) {
    bytes += sizeOf(item);
    if (bytes > maxBytes && count > 0) return count;
  }
  return items.length;
}
