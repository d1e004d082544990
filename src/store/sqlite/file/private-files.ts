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

/**
 * Refuses what others take for more than a path, and what would become a file
 * or a folder of that name: SQLite's `:memory:` and `file:` URLs, a shell's `~`.
 *
 * @throws Error that says what to write instead
 */
export function requirePath(path: string): void {
  const refuse = (why: string) => new Error(`the store cannot be at ${JSON.stringify(path)}: ${why}`);
  if (path === "") throw refuse("name a file");
  if (path.startsWith(":memory:"))
    throw refuse(
      "it is always in a file; for one that is thrown away, name a file in a new temporary folder",
    );
  if (path.startsWith("file:")) throw refuse("write it as a path, not as a URL");
  if (/^~[^/]*(\/|$)/.test(path)) throw refuse("a shell knows what ~ means; write the folder out");
}

/** Makes a folder that only this user may enter, and those it lies in, where they are not there. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}
