import { DatabaseSync } from "node:sqlite";
import { makePrivateFile } from "./private-files.ts";

/** Sole use of a database file. */
export interface Lock {
  release(): void;
}

/**
 * Takes sole use of a database file for this process, as an open exclusive
 * transaction on an empty database beside it. The operating system drops such a
 * lock when the process ends in whatever way, and the file itself stays free
 * for others to read, as backups do.
 *
 * @throws Error when another process has it
 */
export function takeLock(path: string): Lock {
  makePrivateFile(`${path}.lock`);
  const lock = new DatabaseSync(`${path}.lock`);
  try {
    lock.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
  } catch (cause) {
    lock.close();
    throw new Error(`the database ${path} is in use by another server`, { cause });
  }
  return { release: () => lock.close() };
}
