/** The `helm` that tests use where none is on the PATH: built from its Go module, and kept outside the repository. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

const version = "v3.22.0";

/** How long a build may take, in milliseconds. Where modules cannot be had, some wait for them for ever. */
const buildTimeoutMs = 900_000;

/** Builds it by hand. */
export const helmInstallCommand = `go install helm.sh/helm/v3/cmd/helm@${version}`;

const cacheDir = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
const builtHelm = join(cacheDir, "parlance-test-tools", `helm-${version}`, "helm");

/** Returns the command that runs helm: the built one where it is there, otherwise `helm`, there or not. */
export function helmCommand(): string {
  return existsSync(builtHelm) && !canRun("helm", "version") ? builtHelm : "helm";
}

/** Tells whether helm can be run. */
export function helmIsThere(): boolean {
  return canRun(helmCommand(), "version");
}

/**
 * Builds helm, which takes two minutes of two processors and 2 GB of memory at
 * most.
 *
 * @returns why it could not be built; undefined once it is
 */
export function buildHelm(): string | undefined {
  if (!canRun("go", "version")) return "there is no Go to build it with (https://go.dev/dl)";
  const target = dirname(builtHelm);
  mkdirSync(target, { recursive: true });
  // Next to it, so that what another run finds there is never half of a program.
  const folder = mkdtempSync(join(target, "build-"));
  try {
    const [command = "", ...args] = helmInstallCommand
      .replace("install", "install -p=2 -ldflags=-s")
      .split(" ");
    const env = { ...process.env, GOBIN: folder, CGO_ENABLED: "0", GOMEMLIMIT: "1GiB", GOFLAGS: "" };
    const { status, stderr } = spawnSync(command, args, { env, encoding: "utf8", timeout: buildTimeoutMs });
    if (status !== 0) return stderr.trim().split("\n").at(-1) || "the build did not end in time";
    renameSync(join(folder, "helm"), builtHelm);
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function canRun(command: string, argument: string): boolean {
  return spawnSync(command, [argument]).status === 0;
}
