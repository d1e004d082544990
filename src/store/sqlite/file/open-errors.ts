/** Says in words for people why a store's file cannot be opened, and the way out. */

import { accessSync, constants, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** Below this a file system has no room: SQLite needs some beside the database to read it. */
const littleBytes = 65_536;

/** Says that a store's file cannot be opened, in one line that names the way out. */
export class StoreFileError extends Error {
  override readonly name = "StoreFileError";
}

/** Makes the error that says why opening a file, or making its folder, failed. */
export function openErrorOf(path: string, error: unknown): StoreFileError {
  const { errcode, code } = error as { errcode?: unknown; code?: unknown };
  const message =
    typeof errcode === "number" ? ofSqlite(path, errcode & 0xff, error as Error) : ofSystem(path, code);
  return new StoreFileError(message ?? (error as Error).message, { cause: error });
}

/** Whether the file system of a file has no room for what SQLite needs beside it. */
export function hasNoRoom(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize < littleBytes;
  } catch {
    return false;
  }
}

function ofSqlite(path: string, code: number, { message }: Error): string {
  const inTheWay = obstacleOf(path);
  if (inTheWay !== undefined) return inTheWay;
  switch (code) {
    case 5:
      return `the database ${path} is in use by another program; stop that, or name another folder with --data-dir`;
    case 8:
      return readOnly(path);
    case 11:
      return `the database ${path} is damaged (${message}); restore a backup with \`parlance restore\``;
    case 13:
      return noRoom(path);
    case 26:
      return `${path} is no database, or its first page is damaged; name the right folder with --data-dir, or restore a backup with \`parlance restore\``;
    default:
      return `the database ${path} cannot be opened: ${message}; see that this user may read and write it and its folder`;
  }
}

/** Returns what is wrong with the path of a file, if that can be told. */
function obstacleOf(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory())
    return `${path} is a folder where a file should be; move it away, or name another folder with --data-dir`;
  const folder = dirname(path);
  if (!may(folder, constants.W_OK | constants.X_OK))
    return `this user may not write in the folder ${folder}, which the database needs; change its owner or its rights, or name another with --data-dir`;
  if (stats !== undefined && !may(path, constants.R_OK))
    return `this user may not read ${path}; change its owner or its rights`;
  return hasNoRoom(path) ? noRoom(path) : undefined;
}

function ofSystem(path: string, code: unknown): string | undefined {
  const folder = dirname(path);
  switch (code) {
    case "EEXIST":
    case "ENOTDIR":
      return `${folder} is no folder and cannot become one, as a file is there; name another with --data-dir`;
    case "EACCES":
    case "EPERM":
      return `this user may not make the folder ${folder}; make it beforehand, or name another with --data-dir`;
    case "EROFS":
      return `the folder ${folder} is on a file system that is read-only; name another with --data-dir`;
    case "ENOSPC":
    case "EDQUOT":
      return noRoom(path);
    default:
      return undefined;
  }
}

function noRoom(path: string): string {
  return `there is no room left on the disk of ${path}; free some`;
}

function readOnly(path: string): string {
  return `this user may not write ${path}; change its owner or its rights`;
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
