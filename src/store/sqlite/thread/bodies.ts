/** Copies all bodies, one after another, into memory of their own, which can be moved to another thread. */
export function joinBodies(items: ReadonlyArray<{ body: Uint8Array }>): Uint8Array<ArrayBuffer> {
  let size = 0;
  for (const { body } of items) size += body.length;
  const joined = new Uint8Array(size);
  let offset = 0;
  for (const { body } of items) {
    joined.set(body, offset);
    offset += body.length;
  }
  return joined;
}
