import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";
import "./seed.ts";

/** Chooses the run's seed, prints it and gives it to the tests. Compiles what the processes of tests will run. */
export default async function setup(project: TestProject): Promise<void> {
  const given = process.env.PARLANCE_TEST_SEED;
  const seed = given ? Number(given) : Math.floor(Math.random() * 0x7fffffff);
  if (!Number.isInteger(seed)) throw new Error("PARLANCE_TEST_SEED must be a whole number");
  project.provide("seed", seed);
  process.stderr.write(`seed ${seed} (repeat with PARLANCE_TEST_SEED=${seed})\n`);
  // Those that are killed leave nothing behind that the next could use.
  const compile = (command: string) =>
    promisify(execFile)(process.execPath, ["src/main.ts", command, "--help"]);
  await Promise.all(["serve", "chat"].map(compile));
}
