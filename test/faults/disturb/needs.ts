/** What this machine has of what the tools need. */

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Returns the reason why a command cannot be run, if there is one. */
export function missingCommand(name: string): string | undefined {
  const found = (process.env.PATH ?? "").split(delimiter).some((folder) => canRun(join(folder, name)));
  return found ? undefined : `there is no command ${name}`;
}

/** Returns the reason why the system cannot be changed, if there is one. */
export function missingRoot(): string | undefined {
  return process.getuid?.() === 0 ? undefined : "it needs root";
}

/**
 * Joins the environments of several tools for one process: the libraries of all
 * of them are loaded.
 */
export function joinEnv(...envs: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  const libraries = envs.flatMap(({ LD_PRELOAD }) => LD_PRELOAD ?? []);
  return {
    ...Object.assign({}, ...envs),
    ...(libraries.length > 0 && { LD_PRELOAD: libraries.join(":") }),
  };
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
