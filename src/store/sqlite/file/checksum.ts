import { crc32 } from "node:zlib";

/** The part of an event that its checksum covers; sender and client message id are in the body, too. */
export interface Summed {
  position: number;
  /** The key of its conversation. */
  conversation: number;
  seq: number;
  kind: number;
  acceptTimeMs: number;
  body: Uint8Array;
  aboutSeq?: number | null;
  onlyUserIds?: string | null;
}

/**
 * Returns the checksum that is stored with an event, from 0 to 2^32 - 1: the
 * CRC-32 of its body, begun with what its row says beside it. SQLite sees where
 * its own pages are wrong, but not a letter that has become another.
 */
export function checksumOf(event: Summed): number {
  const { position, conversation, seq, kind, acceptTimeMs, body, aboutSeq, onlyUserIds } = event;
  let start = mix(0, position);
  start = mix(start, conversation);
  start = mix(start, seq);
  start = mix(start, kind);
  start = mix(start, acceptTimeMs);
  if (typeof aboutSeq === "number") start = mix(start, aboutSeq);
  if (typeof onlyUserIds === "string") start = crc32(onlyUserIds, start >>> 0);
  return crc32(body, start >>> 0);
}

/** Mixes a whole number up to 2^53 in, so that each of its bits changes the outcome: FNV-1a over its halves. */
function mix(start: number, value: number): number {
  const low = Math.imul(start ^ (value | 0), 0x01000193);
  return Math.imul(low ^ Math.floor(value / 2 ** 32), 0x01000193);
}
