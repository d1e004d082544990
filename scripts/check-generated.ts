/** Fails when `gen/` is not what the protos generate. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

const fresh = mkdtempSync(join(tmpdir(), "parlance-gen-"));
try {
  execFileSync("buf", ["generate", "-o", fresh], { stdio: ["ignore", "inherit", "inherit"] });
  const made = filesOf(join(fresh, "gen"));
  const kept = filesOf("gen");
  const differing = [...new Set([...made.keys(), ...kept.keys()])].filter(
    (path) => made.get(path) !== kept.get(path),
  );
  if (differing.length > 0) {
    console.error(
      `gen/ is not what the protos generate; run \`npm run generate\`. Differing: ${differing.join(", ")}`,
    );
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true });
}

/** Returns the files below a folder with their text. */
function filesOf(folder: string): Map<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = entries.map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.map((path) => [relative(folder, path), readFileSync(path, "utf8")]));
}
