import type { TestProject } from "vitest/node";
import "./seed.ts";

/** Chooses the run's seed, prints it and gives it to the tests. */
export default function setup(project: TestProject): void {
  const given = process.env.PARLANCE_TEST_SEED;
  const seed = given ? Number(given) : Math.floor(Math.random() * 0x7fffffff);
  if (!Number.isInteger(seed)) throw new Error("PARLANCE_TEST_SEED must be a whole number");
  project.provide("seed", seed);
  process.stderr.write(`seed ${seed} (repeat with PARLANCE_TEST_SEED=${seed})\n`);
}
