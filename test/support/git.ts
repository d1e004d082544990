import { spawnSync } from "node:child_process";

/** Runs git in this checkout and returns what it prints, without the last line's end; undefined where it fails. */
export function git(...args: string[]): string | undefined {
  const { status, stdout } = spawnSync("git", args, { encoding: "utf8" });
  return status === 0 ? stdout.trimEnd() : undefined;
}
