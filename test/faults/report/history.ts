/** How the code that was tested changed since. */

import { existsSync } from "node:fs";
import { git } from "../../support/git.ts";

/** What the report speaks of: the product, and what disturbs and judges it. */
const code = ["src", "wire", "proto", "clients", "test/faults"].filter((folder) => existsSync(folder));

/** Tells why nothing can be said here of these commits; undefined where something can. */
export function missingHistory(commits: readonly string[]): string | undefined {
  const shallow = git("rev-parse", "--is-shallow-repository");
  if (shallow === undefined) return "this is no checkout of git";
  if (shallow === "true") return "the history of this checkout is cut off";
  return commits.some(isInHistory) ? undefined : "this checkout has another history";
}

/** Returns the commit at hand, short. */
export function currentCommit(): string {
  const commit = git("rev-parse", "--short", "HEAD");
  if (commit === undefined)
    throw new Error("a report names the commit it was made on: this is no checkout of git");
  return commit;
}

/** Returns files of the code that are not as the commit at hand has them. */
export function changedFiles(): string[] {
  return (
    git("status", "--porcelain", "--", ...code)
      ?.split("\n")
      .filter(Boolean) ?? []
  );
}

/** Tells whether a commit is the one at hand or stands before it. */
export function isInHistory(commit: string): boolean {
  return git("merge-base", "--is-ancestor", commit, "HEAD") !== undefined;
}

/** Counts the commits since another that changed the code. */
export function commitsSince(commit: string): number {
  return Number(git("rev-list", "--count", `${commit}..HEAD`, "--", ...code));
}
