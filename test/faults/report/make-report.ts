import { findFault } from "../catalogue.ts";
import { bugs } from "../planted/bugs.ts";
import { plantBugs } from "../planted/plant-bugs.ts";
import { runFault, runFaultApart } from "../runner.ts";
import { soakFault } from "../soak.ts";
import { tableLine } from "../table.ts";
import { currentCommit } from "./history.ts";
import { machineFor } from "./machine.ts";
import { type Result, readResults, resultOfBug, resultOfRow, writeResults } from "./results.ts";
import { type SectionName, sectionNames, subjects } from "./sections.ts";
import { writeTables } from "./tables.ts";

/** What of the report is made. */
export interface ReportOptions {
  sections: readonly SectionName[];
  /** Faults and bugs to run; undefined for all of the sections. */
  names: readonly string[] | undefined;
  seed: number;
  /** How long the soak lasts. */
  soakMinutes: number;
}

/**
 * Runs faults, bugs and the soak at full size and puts what came of each into
 * docs/reliability.json and the tables of docs/reliability.md at once, so that
 * a run that is broken off leaves what it did.
 *
 * The soak leaves handles open: the process has to be ended afterwards.
 *
 * @returns how many of what ran broke a rule, or were bugs that nothing noticed
 */
export async function makeReport({ sections, names, seed, soakMinutes }: ReportOptions): Promise<number> {
  const isChosen = (name: string) => names === undefined || names.includes(name);
  const commit = currentCommit();
  let broken = 0;
  for (const section of sectionNames.filter((each) => sections.includes(each))) {
    const chosen = subjects[section].filter(({ name }) => isChosen(name));
    if (chosen.length === 0) continue;
    const machine = machineFor(section);
    const origin = () => ({ commit, date: new Date().toISOString().slice(0, 10), machine, seed });
    const keep = (result: Result) => {
      if (result.violations > 0) broken++;
      writeResults(section, [result]);
      writeTables(readResults());
    };
    if (section === "planted") {
      const onRow = (row: Parameters<typeof resultOfBug>[0]) => keep(resultOfBug(row, origin()));
      await plantBugs(
        bugs.filter(({ name }) => isChosen(name)),
        { seed, onRow },
      );
      continue;
    }
    for (const { name } of chosen) {
      const options = { mode: "full", seed, keep: false } as const;
      const fault = findFault(name);
      const row = await (fault === undefined
        ? runFault(soakFault(soakMinutes), options)
        : runFaultApart(fault, options));
      process.stderr.write(`${tableLine(row)}\n`);
      keep(resultOfRow(row, origin()));
    }
  }
  return broken;
}
