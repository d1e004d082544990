import type { Timestamp } from "@bufbuild/protobuf/wkt";

/** The times that a JavaScript date can have, in milliseconds before and after 1970. */
const maxTimeMs = 8_640_000_000_000_000;

/**
 * Turns a number of a request into one that every store takes. What is too
 * large for that is beyond whatever there is, and stays so.
 */
export function toNumber(value: bigint): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number(value), Number.MAX_SAFE_INTEGER));
}

/** Milliseconds since 1970, rounded down; the library's own `timestampMs` rounds to the nearest. */
export function floorMs({ seconds, nanos }: Timestamp): number {
  return inTime(Number(seconds) * 1000 + Math.floor(nanos / 1_000_000));
}

/** Milliseconds since 1970, rounded up. */
export function ceilMs({ seconds, nanos }: Timestamp): number {
  return inTime(Number(seconds) * 1000 + Math.ceil(nanos / 1_000_000));
}

/** Whether a time is one that Protobuf allows, and JSON can tell. */
export function isTime({ seconds, nanos }: Timestamp): boolean {
  return seconds >= -62_135_596_800n && seconds <= 253_402_300_799n && nanos >= 0 && nanos <= 999_999_999;
}

function inTime(ms: number): number {
  return Math.max(-maxTimeMs, Math.min(ms, maxTimeMs));
}
