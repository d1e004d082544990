import { tableLine } from "../table.ts";
import { type Bug, notYet } from "./bugs.ts";
import { type PlantedRow, TestBuild } from "./planted.ts";

/** How bugs are planted. */
export interface PlantOptions {
  seed: number;
  /** Tells of which faults it is known that they hold without a bug. (Default: of none) */
  isKnownToHold?: (fault: string) => boolean;
  /** Gets each row as soon as it is there. */
  onRow?: (row: PlantedRow) => void;
}

/**
 * Plants bugs one after another, and prints what came of each. Before that,
 * the same faults have to hold without any.
 *
 * @throws Error when one does not
 */
export async function plantBugs(
  chosen: readonly Bug[],
  { seed, isKnownToHold = () => false, onRow }: PlantOptions,
): Promise<PlantedRow[]> {
  const say = (line: string) => process.stderr.write(`${line}\n`);
  say(`${chosen.length} bugs, seed ${seed}`);
  const build = new TestBuild();
  try {
    for (const fault of new Set(chosen.flatMap(({ faults }) => faults))) {
      if (isKnownToHold(fault)) continue;
      const row = await build.run(fault, seed);
      say(tableLine(row));
      if (row.violations > 0) throw new Error(`${fault} does not hold without a bug; mend that first`);
    }
    const rows: PlantedRow[] = [];
    for (const bug of chosen) {
      const row = await build.catch(bug, seed);
      rows.push(row);
      onRow?.(row);
      const missed = row.skipped ? "not run" : "NOT CAUGHT";
      const verdict = row.caught_by === null ? missed : `caught by ${row.caught_by}`;
      say(
        `${String(bug.number).padStart(2)} ${bug.name}: ${verdict} in ${row.runs} runs, ${row.seconds} s (${row.how})`,
      );
    }
    for (const { number, text, why } of notYet)
      say(`${String(number).padStart(2)} not planted, ${why}: ${text}`);
    return rows;
  } finally {
    build.close();
  }
}
