import { closeSync, fsyncSync, openSync } from "node:fs";

/** Puts a file on stable storage, or what a folder says of the names in it. */
export function sync(path: string): void {
  const descriptor = openSync(path, "r");
  fsyncSync(descriptor);
  closeSync(descriptor);
}
