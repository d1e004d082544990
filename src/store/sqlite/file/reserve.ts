/**
 * A little room that is kept beside a store, so that it can be opened on a full
 * disk: SQLite needs some for files of its own even to read.
 */

import { randomBytes } from "node:crypto";
import { existsSync, rmSync, writeFileSync } from "node:fs";

/** Enough to open, and too little for a large message, so that health says that there is no room. */
const reserveBytes = 98_304;

/** Puts the reserve down, if there is room. */
export function keepReserve(path: string): void {
  const file = reserveOf(path);
  if (existsSync(file)) return;
  try {
    // Random, since some file systems take no room for zeros.
    writeFileSync(file, randomBytes(reserveBytes), { mode: 0o600 });
  } catch {
    rmSync(file, { force: true });
  }
}

/** Gives the room free. Returns false when there is none to give. */
export function freeReserve(path: string): boolean {
  const file = reserveOf(path);
  if (!existsSync(file)) return false;
  rmSync(file, { force: true });
  return true;
}

function reserveOf(path: string): string {
  return `${path}.reserve`;
}
