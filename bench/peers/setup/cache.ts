import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Returns a folder for what is built or downloaded, outside of the project:
 * `PARLANCE_BENCH_CACHE`, or one among the system's temporary files.
 */
export function cacheFolder(...path: string[]): string {
  const root = process.env["PARLANCE_BENCH_CACHE"] ?? join(tmpdir(), "parlance-bench");
  const folder = join(root, ...path);
  mkdirSync(folder, { recursive: true });
  return folder;
}
