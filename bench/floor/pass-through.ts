/** How gRPC libraries are told to leave messages as they are. */

/** Encodes and decodes bytes as themselves. */
export function same(bytes: Buffer): Buffer {
  return bytes;
}
