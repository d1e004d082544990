/** What is done to a service's data apart from serving it. Knows which store a configuration means. */

import { join } from "node:path";
import type { Config } from "./config.ts";
import { backupStore, restoreStore, type StoreSummary } from "./store/sqlite/backup.ts";
import { type CheckResult, checkStore } from "./store/sqlite/check.ts";

export type { CheckResult, StoreSummary };

/** Returns the path of the SQLite file that holds everything. */
export function dataFileOf({ dataDir }: Pick<Config, "dataDir">): string {
  return join(dataDir, "parlance.db");
}

/** Copies the data into a new file, also while the service runs. @throws Error in words for people */
export function backup(config: Pick<Config, "dataDir">, target: string): StoreSummary {
  return backupStore(dataFileOf(config), target);
}

/**
 * Puts a backup in the place of the data of a service that does not run.
 *
 * @returns what was restored, and where the data that was there before is now
 * @throws Error in words for people
 */
export function restore(config: Pick<Config, "dataDir">, source: string) {
  return restoreStore(source, dataFileOf(config), Date.now());
}

/** Checks that the data keeps its rules, also while the service runs. @throws Error in words for people */
export function check(config: Pick<Config, "dataDir">): CheckResult[] {
  return checkStore(dataFileOf(config));
}
