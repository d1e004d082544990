/**
 * Fails when the protos break clients that were generated from an earlier
 * state: the main branch, or, on the main branch itself, the last release if
 * there is one. Says so and passes where there is nothing to compare with.
 */

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const earlier = findEarlier();
if (earlier === undefined) {
  console.log("buf breaking: skipped, there is no main branch with protos to compare with");
} else {
  const folder = mkdtempSync(join(tmpdir(), "parlance-breaking-"));
  const archive = join(folder, "earlier.tar");
  try {
    const sources = ["buf.yaml", "proto", "third_party"];
    execFileSync("git", ["archive", "--format=tar", `--output=${archive}`, earlier, ...sources]);
    const { status, error } = spawnSync("buf", ["breaking", "--against", archive], { stdio: "inherit" });
    if (error) throw error;
    if (status !== 0) console.error(`buf breaking: the protos break clients generated from ${earlier}`);
    process.exitCode = status ?? 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Returns the commit to compare with. */
function findEarlier(): string | undefined {
  const lastRelease =
    git("rev-parse", "--abbrev-ref", "HEAD") === "main" ? git("describe", "--tags", "--abbrev=0") : undefined;
  return [lastRelease, "main", "origin/main"].find(
    (name) =>
      name !== undefined &&
      git("rev-parse", "--verify", `${name}:proto`) &&
      git("rev-parse", "--verify", `${name}:buf.yaml`),
  );
}

/** Returns what git prints, or undefined when it fails. */
function git(...args: string[]): string | undefined {
  try {
    return execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}
