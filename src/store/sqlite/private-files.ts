import { closeSync, mkdirSync, openSync } from "node:fs";

/**
 * Makes a file that only this user may read and write, empty, unless it is
 * there. SQLite gives what it keeps beside a database the rights of that. A file
 * that is there keeps the rights that somebody gave it, and is not opened: to
 * close it would end the locks of this process on it.
 */
export function makePrivateFile(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch {
    // It is there, or whoever opens it says better why it cannot be made.
  }
}

/** Makes a folder that only this user may enter, and those it lies in, where they are not there. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}
