import { git } from "../../support/git.ts";
import type { Bug } from "./bugs.ts";

/** Takes every third bug, so that runs with three numbers in a row plant all of them. */
export function thirdOf(bugs: readonly Bug[], turn: number): Bug[] {
  return bugs.filter((_, n) => n % 3 === turn % 3);
}

/**
 * Returns a number that goes up by one from commit to commit; where the history
 * is cut off, one drawn from the commit's hash; undefined without git.
 */
export function turnOfCommit(): number | undefined {
  if (git("rev-parse", "--is-shallow-repository") === "false")
    return Number(git("rev-list", "--count", "HEAD"));
  const hash = git("rev-parse", "HEAD");
  return hash === undefined ? undefined : Number.parseInt(hash.slice(0, 8), 16);
}
