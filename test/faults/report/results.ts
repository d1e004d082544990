import { readFileSync, writeFileSync } from "node:fs";
import type { Row } from "../fault.ts";
import type { PlantedRow } from "../planted/planted.ts";
import { type SectionName, subjects } from "./sections.ts";

/** Where and of what a row was made. */
export interface Origin {
  /** The commit, short. */
  commit: string;
  /** The day, such as 2026-11-30. */
  date: string;
  /** What ran it, in words: processors, memory and versions. */
  machine: string;
  seed: number;
}

/** What came of a fault, or of a bug that was planted. */
export interface Result extends Origin {
  /** Of the fault or the bug. */
  name: string;
  /** How many times it was injected; of a bug, how many runs of its faults it took. */
  rounds: number;
  /** How many rules were broken; of a bug that was planted, 1 if nothing noticed it. */
  violations: number;
  /** In words and numbers; of a bug, the fault that met it and the rules it broke, such as `kill-storm: I1`. */
  figure: string;
  seconds: number;
  /** Why it did not run. */
  skipped?: string;
}

export type Results = Record<SectionName, Result[]>;

const path = "docs/reliability.json";

/** Reads all that was reported. */
export function readResults(): Results {
  return JSON.parse(readFileSync(path, "utf8")) as Results;
}

/** Puts results into a section, in place of those of the same names, in the order of its table. */
export function writeResults(section: SectionName, fresh: readonly Result[]): void {
  const all = readResults();
  const byName = new Map([...all[section], ...fresh].map((result) => [result.name, result]));
  all[section] = subjects[section].flatMap(({ name }) => byName.get(name) ?? []);
  writeFileSync(path, `${JSON.stringify(all, undefined, 2)}\n`);
}

/** Makes a result of a row. */
export function resultOfRow(row: Row, origin: Omit<Origin, "seed">): Result {
  const { name, rounds, violations, figure, seconds, seed, skipped } = row;
  return { name, rounds, violations, figure, seconds, ...origin, seed, ...(skipped && { skipped }) };
}

/** Makes a result of a bug that was planted. */
export function resultOfBug(row: PlantedRow, origin: Origin): Result {
  const { bug: name, caught_by, how, seconds, runs: rounds, skipped } = row;
  const violations = caught_by === null && !skipped ? 1 : 0;
  const figure = caught_by?.replace(/^[^:]+/, "`$&`") ?? "not caught";
  return { name, rounds, violations, figure, seconds, ...origin, ...(skipped && { skipped: how }) };
}
