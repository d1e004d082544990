/** Work on a service's data apart from serving it. Knows which store a configuration means. */

import { join } from "node:path";
import type { Config } from "../config/config.ts";
import { openTransferTarget } from "../store/postgres/transfer-target.ts";
import { backupStore, restoreStore, type StoreSummary } from "../store/sqlite/file/backup.ts";
import { type CheckResult, checkStore } from "../store/sqlite/file/check.ts";
import { openTransferSource } from "../store/sqlite/file/transfer-source.ts";
import { type TransferProgress, type TransferredTable, transfer } from "../store/transfer.ts";

export type { CheckResult, StoreSummary, TransferredTable };

type DataSettings = Pick<Config, "dataDir" | "databaseUrl">;

/** Returns the path of the SQLite file that holds everything where no database does. */
export function dataFileOf({ dataDir }: Pick<Config, "dataDir">): string {
  return join(dataDir, "parlance.db");
}

/**
 * Returns the path of the SQLite file.
 *
 * @throws Error when a database holds everything, which has tools of its own
 */
function fileOf(config: DataSettings): string {
  if (config.databaseUrl !== undefined)
    throw new Error(
      "the data is in PostgreSQL (databaseUrl), whose own tools pg_dump and pg_restore copy it",
    );
  return dataFileOf(config);
}

/** Copies the data into a new file, also while the service runs. @throws Error in words for people */
export function backup(config: DataSettings, target: string): StoreSummary {
  return backupStore(fileOf(config), target);
}

/**
 * Puts a backup in the place of the data of a service that does not run.
 *
 * @returns what was restored, and where the data that was there before is now
 * @throws Error in words for people
 */
export function restore(config: DataSettings, source: string) {
  return restoreStore(source, fileOf(config), Date.now());
}

/** Checks that the data keeps its rules, also while the service runs. @throws Error in words for people */
export function check(config: DataSettings): CheckResult[] {
  return checkStore(fileOf(config));
}

/**
 * Moves the data of a service that does not run from its SQLite file into a
 * PostgreSQL database, with the names that cursors and message ids hold. The
 * file stays as it is. Goes on where an earlier call was cut off.
 *
 * @throws Error in words for people
 */
export async function migrateStore(
  { dataDir, databaseUrl, databaseSchema }: Pick<Config, "dataDir" | "databaseUrl" | "databaseSchema">,
  progress: TransferProgress,
): Promise<{ epoch: string; lastPosition: number; tables: TransferredTable[] }> {
  if (databaseUrl === undefined) throw new Error("databaseUrl is not set");
  const source = openTransferSource(dataFileOf({ dataDir }));
  try {
    const target = await openTransferTarget(databaseUrl, databaseSchema, source.head);
    try {
      const { epoch, lastPosition } = source.head;
      return { epoch, lastPosition, tables: await transfer(source, target, progress) };
    } finally {
      await target.close();
    }
  } finally {
    source.close();
  }
}
