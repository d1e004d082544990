/** Reads what lies in `deploy/`. */

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { settings } from "../../src/config/settings.ts";

/** Settings of clusters that the files use and that `settings` does not have yet; none once all are there. */
export const comingSettings: readonly string[] = ["databaseUrl", "natsUrl", "adminPort"].every((name) =>
  Object.hasOwn(settings, name),
)
  ? []
  : [
      "node",
      "databaseUrl",
      "natsUrl",
      "natsUser",
      "natsPassword",
      "natsPasswordFile",
      "natsCredsFile",
      "natsTlsCaFile",
      "natsTlsCertFile",
      "natsTlsKeyFile",
      "adminHost",
      "adminPort",
      "adminToken",
      "adminTokenFile",
    ];

/** The paths of all files in `deploy/`. */
export function deployFiles(): string[] {
  return readdirSync("deploy", { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort();
}

/**
 * Parses a YAML file or text and returns its documents, without empty ones.
 *
 * @throws Error for anything the parser finds wrong or warns of, such as a key that comes twice
 */
export function parseYaml(text: string): unknown[] {
  return parseAllDocuments(text, { merge: true })
    .map((document) => {
      const [problem] = [...document.errors, ...document.warnings];
      if (problem) throw problem;
      return document.toJS() as unknown;
    })
    .filter((value) => value !== null);
}

/** Parses a YAML file of one document. */
export function readYaml<T>(path: string): T {
  const [document, ...more] = parseYaml(readFileSync(path, "utf8"));
  if (document === undefined || more.length > 0) throw new Error(`${path} is not one document`);
  return document as T;
}

/** The names of all settings' environment variables in a text. */
export function variablesIn(text: string): string[] {
  return [...new Set(text.match(/\bPARLANCE_[A-Z_]*[A-Z]\b/g))];
}

/**
 * Returns why tests with a program do not run here, and prints it; undefined
 * where the program is there.
 *
 * @param args what has it end at once with exit code 0
 * @param wayOut how to get it
 */
export function whyMissing(program: string, args: readonly string[], wayOut: string): string | undefined {
  if (spawnSync(program, args).status === 0) return undefined;
  const reason = `not tested: ${program} is not installed (${wayOut})`;
  process.stderr.write(`${reason}\n`);
  return reason;
}
