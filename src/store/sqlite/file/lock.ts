import { DatabaseSync } from "node:sqlite";
import { openErrorOf, StoreFileError } from "./open-errors.ts";
import { makePrivateFile } from "./private-files.ts";

/** Sole use of a database file. */
export interface Lock {
  release(): void;
}

/** SQLITE_BUSY, https://sqlite.org/rescode.html. */
const busy = 5;

/**
 * Takes sole use of a database file for this process, as an open exclusive
 * transaction on an empty database beside it. The operating system drops such a
 * lock when the process ends in whatever way, and the file itself stays free
 * for others to read, as backups do.
 *
 * @throws StoreFileError when another process has it, or the lock cannot be made
 */
export function takeLock(path: string): Lock {
  makePrivateFile(`${path}.lock`);
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(`${path}.lock`);
    lock.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
    const taken = lock;
    return { release: () => taken.close() };
  } catch (error) {
    lock?.close();
    if (((error as { errcode?: number }).errcode ?? 0) % 256 !== busy)
      throw openErrorOf(`${path}.lock`, error);
    throw new StoreFileError(`the database ${path} is in use by another server`, { cause: error });
  }
}
