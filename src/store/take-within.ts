/** Takes items, at least one, until their sizes exceed a number of bytes; the one that exceeds it is the last. */
export function takeWithin<Item>(
  items: Iterable<Item>,
  maxBytes: number | undefined,
  sizeOf: (item: Item) => number,
): Item[] {
  const taken: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    taken.push(item);
    bytes += sizeOf(item);
    if (maxBytes !== undefined && bytes > maxBytes) break;
  }
  return taken;
}
