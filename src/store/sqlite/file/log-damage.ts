/**
 * Finds damage in SQLite's write-ahead log before SQLite opens it, which would
 * take the log to end at the first frame that is not right, and drop what
 * follows without a word. The format is https://www.sqlite.org/fileformat.html#the_write_ahead_log.
 *
 * A power cut leaves frames that are not right as well: those of the last
 * transaction, which was not synced yet, in any state. The writer begins the
 * next transaction only when the last one was synced. So if a frame is not
 * right, and behind it another transaction begins right where one ended, the
 * log was on the disk as far as there and has been damaged since.
 */

import { closeSync, copyFileSync, existsSync, openSync, readSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { type Lock, takeLock } from "./lock.ts";
import { sync } from "./sync.ts";

const headerBytes = 32;
const frameHeaderBytes = 24;
/** How much is read at once, about. */
const chunkBytes = 1_048_576;
/** The first word of the log; the last bit says that checksums are made of big-endian words. */
const magic = 0x377f0682;

/** Tells whether the write-ahead log of a database that nobody uses is damaged: it lost what it once had. */
export function isLogDamaged(path: string): boolean {
  const log = `${path}-wal`;
  const size = existsSync(path) && existsSync(log) ? statSync(log).size : 0;
  if (size <= headerBytes + frameHeaderBytes) return false;
  const file = openSync(log, "r");
  try {
    return scan(file, size, path);
  } finally {
    closeSync(file);
  }
}

/** Says how the write-ahead log of a store is damaged. Nothing where a server uses it: that looked when it started. */
export function damageIn(path: string): string[] {
  if (!existsSync(`${path}-wal`)) return [];
  let lock: Lock;
  try {
    lock = takeLock(path);
  } catch {
    return [];
  }
  try {
    return isLogDamaged(path)
      ? [
          "it is damaged, and commits behind the damage are lost; the next start keeps it and gives a new epoch",
        ]
      : [];
  } finally {
    lock.release();
  }
}

/**
 * Keeps a copy of a damaged log beside the database, until `settleDamage` as one
 * whose damage has yet to be dealt with. Returns whether there is such a copy,
 * of now or of a start that was cut off.
 */
export function keepDamagedLog(path: string): boolean {
  const kept = keptPath(path);
  if (existsSync(kept)) return true;
  if (!isLogDamaged(path)) return false;
  copyFileSync(`${path}-wal`, `${kept}.partial`);
  sync(`${kept}.partial`);
  renameSync(`${kept}.partial`, kept);
  sync(dirname(path));
  return true;
}

/** Notes that the store has a new epoch since its log was damaged. Returns where the damaged log is. */
export function settleDamage(path: string, nowMs: number): string {
  const target = `${keptPath(path)}-${nowMs}`;
  renameSync(keptPath(path), target);
  return target;
}

function keptPath(path: string): string {
  return `${path}-wal.damaged`;
}

/** The two halves of a checksum, which goes on from one frame to the next. */
type Sum = readonly [a: number, b: number];

function scan(file: number, size: number, path: string): boolean {
  const header = Buffer.alloc(headerBytes);
  readSync(file, header, 0, headerBytes, 0);
  const word = header.readUInt32BE(0);
  const bigEndian = (word & 1) === 1;
  const headerSum: Sum = [header.readUInt32BE(24), header.readUInt32BE(28)];
  const headerIsRight =
    (word & ~1) >>> 0 === magic && isSame(sumOf(header, 0, 24, [0, 0], bigEndian), headerSum);
  const pageBytes = headerIsRight ? header.readUInt32BE(8) : pageBytesOf(path);
  const frameBytes = frameHeaderBytes + pageBytes;
  const frames = Math.floor((size - headerBytes) / frameBytes);
  const perChunk = Math.max(1, Math.floor(chunkBytes / frameBytes));
  const chunk = Buffer.allocUnsafe(perChunk * frameBytes);

  let isWrong = !headerIsRight;
  // What is said of the frame before; where the header cannot tell the salts of this round of the log, a frame does.
  let sum = headerSum;
  let salts = header.readBigUInt64BE(16);
  let commits = false;
  for (let first = 0; first < frames; first += perChunk) {
    const bytes = Math.min(perChunk, frames - first) * frameBytes;
    readSync(file, chunk, 0, bytes, headerBytes + first * frameBytes);
    for (let at = 0; at < bytes; at += frameBytes) {
      const said: Sum = [chunk.readUInt32BE(at + 16), chunk.readUInt32BE(at + 20)];
      const ofHeader = sumOf(chunk, at, 8, sum, bigEndian);
      const follows =
        chunk.readBigUInt64BE(at + 8) === salts &&
        isSame(sumOf(chunk, at + frameHeaderBytes, pageBytes, ofHeader, bigEndian), said);
      if (follows && isWrong && commits) return true;
      if (!follows) isWrong = true;
      sum = said;
      if (!headerIsRight) salts = chunk.readBigUInt64BE(at + 8);
      commits = chunk.readBigUInt64BE(at + 8) === salts && chunk.readUInt32BE(at + 4) !== 0;
    }
  }
  return false;
}

/** Goes on with a checksum over some bytes, a multiple of 8. */
function sumOf(bytes: Buffer, from: number, size: number, [a, b]: Sum, bigEndian: boolean): Sum {
  for (let at = from; at < from + size; at += 8) {
    a = (a + (bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)) + b) >>> 0;
    b = (b + (bigEndian ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4)) + a) >>> 0;
  }
  return [a, b];
}

function isSame(one: Sum, other: Sum): boolean {
  return one[0] === other[0] && one[1] === other[1];
}

/** The size of the database's pages, by its header. */
function pageBytesOf(path: string): number {
  const header = Buffer.alloc(18);
  const file = openSync(path, "r");
  readSync(file, header, 0, header.length, 0);
  closeSync(file);
  const said = header.readUInt16BE(16);
  return said === 1 ? 65_536 : said || 4_096;
}
