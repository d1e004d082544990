import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { failPoint } from "../../../fail-points.ts";
import { openForReading } from "./database.ts";
import { takeLock } from "./lock.ts";
import { isStore, migrate, readIdentity, renewEpoch } from "./migrations.ts";
import { makePrivateFile, makePrivateFolder, requirePath } from "./private-files.ts";
import { sync } from "./sync.ts";

/** A summary of a copied store. */
export interface StoreSummary {
  epoch: string;
  /** The position of its last event. */
  lastPosition: number;
  conversations: number;
}

/**
 * Copies a store into a new file, also while a server uses it: the copy is the
 * state of one moment, compact, and on stable storage when this returns. The
 * target appears only when it is complete.
 *
 * @throws Error when the source is no store, or the target exists
 */
export function backupStore(path: string, target: string): StoreSummary {
  requireDatabase(path);
  requirePath(target);
  if (existsSync(target)) throw new Error(`${target} exists already`);
  makePrivateFolder(dirname(target));
  const partial = partialOf(target);
  rmSync(partial, { force: true });
  try {
    const database = openForReading({ path });
    try {
      if (!isStore(database)) throw notStore(path);
      makePrivateFile(partial);
      database.prepare("VACUUM INTO ?").run(partial);
    } finally {
      database.close();
    }
    const summary = summarize(partial);
    publish(partial, target);
    return summary;
  } catch (error) {
    remove(partial);
    throw error;
  }
}

/**
 * Puts a backup in the place of a store that no server uses. The restored store
 * has a new epoch, so that clients that were ahead of the backup learn of it
 * instead of skipping events, and no session tokens, since some of those in the
 * backup may have been logged out after it was made.
 *
 * @returns what was restored, and where the store that was there before is now
 * @throws Error when the backup is no store or damaged, or a server uses the path
 */
export function restoreStore(
  backup: string,
  path: string,
  nowMs: number,
): StoreSummary & { previous: string | undefined } {
  requireDatabase(backup);
  requirePath(path);
  makePrivateFolder(dirname(path));
  const lock = takeLock(path);
  try {
    const partial = partialOf(path);
    remove(partial);
    const summary = copyAsNew(backup, partial);
    const previous = existsSync(path) ? `${path}.${nowMs}` : undefined;
    if (previous !== undefined) foldLog(path);
    // The file first: without its log beside it, it would be a store that lacks its last commits.
    for (const end of ["", "-wal", "-shm"]) {
      if (!existsSync(path + end)) continue;
      if (previous === undefined) rmSync(path + end);
      else renameSync(path + end, previous + end);
    }
    failPoint("restore.before-publish");
    publish(partial, path);
    return { ...summary, previous };
  } finally {
    lock.release();
  }
}

/** Makes the store that a backup is restored to. Leaves nothing behind when it fails. */
function copyAsNew(backup: string, partial: string): StoreSummary {
  try {
    cpSync(backup, partial);
    chmodSync(partial, 0o600);
    const database = new DatabaseSync(partial);
    try {
      const damage = damageOf(database);
      if (damage !== undefined) throw new Error(`${backup} is damaged: ${damage}`);
      if (!isStore(database)) throw notStore(backup);
      migrate(database, backup);
      database.exec("BEGIN IMMEDIATE");
      renewEpoch(database);
      database.exec("DELETE FROM sessions");
      database.exec("COMMIT");
    } finally {
      database.close();
    }
    return summarize(partial);
  } catch (error) {
    remove(partial);
    throw error;
  }
}

function damageOf(database: DatabaseSync): string | undefined {
  try {
    const [result] = database.prepare("PRAGMA quick_check(1)").all();
    return result?.["quick_check"] === "ok" ? undefined : String(result?.["quick_check"]);
  } catch (error) {
    // Some damage is found before the check begins.
    return (error as Error).message;
  }
}

function summarize(path: string): StoreSummary {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const row = database
      .prepare(
        "SELECT (SELECT ifnull(max(position), 0) FROM events) AS lastPosition, (SELECT count(*) FROM conversations) AS conversations",
      )
      .get() as unknown as Omit<StoreSummary, "epoch">;
    return { epoch: readIdentity(database).epoch, ...row };
  } finally {
    database.close();
  }
}

/** Gives a complete file its name, so that it is there whole or not at all, also after a power cut. */
function publish(partial: string, target: string): void {
  sync(partial);
  renameSync(partial, target);
  sync(dirname(target));
}

/** Has SQLite write what it keeps in a file beside the store into the store, if it can: it may be damaged. */
function foldLog(path: string): void {
  try {
    const database = new DatabaseSync(path);
    try {
      database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } finally {
      database.close();
    }
  } catch {
    // Then that file is kept beside it.
  }
}

/** The name of a file that is to become a store and is not yet complete. */
function partialOf(path: string): string {
  return `${path}.partial`;
}

/**
 * Refuses to go on where a restore has put the former store aside and was cut
 * off before the restored one took its place: a server would start an empty one.
 *
 * @throws Error that says what to do
 */
export function refuseCutOffRestore(path: string): void {
  if (existsSync(path) || !existsSync(partialOf(path))) return;
  throw new Error(
    `the restore of ${path} did not finish; run \`parlance restore\` again, or delete ${partialOf(path)} to start with no data`,
  );
}

/** Removes a database and what SQLite keeps beside it. */
function remove(path: string): void {
  for (const end of ["", "-wal", "-shm", "-journal"]) rmSync(path + end, { force: true });
}

/** The first bytes of every SQLite file. */
const databaseMagic = "SQLite format 3\0";

/** @throws Error when there is no file, or none of a database, before anything is made for it */
function requireDatabase(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new Error(`there is no file ${path}`);
  if (!stats.isFile()) throw new Error(`${path} is no file`);
  const descriptor = openSync(path, "r");
  try {
    const start = Buffer.alloc(databaseMagic.length);
    readSync(descriptor, start);
    if (start.toString("latin1") !== databaseMagic) throw notStore(path);
  } finally {
    closeSync(descriptor);
  }
}

function notStore(path: string): Error {
  return new Error(`${path} is no store: it holds no data of Parlance`);
}
