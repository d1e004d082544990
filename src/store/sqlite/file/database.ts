import { DatabaseSync } from "node:sqlite";
import type { WorkerData } from "../thread/wire.ts";

/** How many pages the write-ahead log may have before the writer itself carries them over, at the latest. */
export const maxLogPages = 16_000;

/** The most pages SQLite can number. */
const maxPages = 4_294_967_294;

/**
 * Opens the writer's connection. `synchronous=FULL` makes every commit wait for
 * the disk: a message that was answered survives a power cut.
 */
export function openForWriting({
  path,
  maxFileBytes,
}: Pick<WorkerData, "path" | "maxFileBytes">): DatabaseSync {
  const database = new DatabaseSync(path);
  const pageBytes = Number(database.prepare("PRAGMA page_size").get()?.page_size);
  database.exec(`
    PRAGMA busy_timeout = 2000;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = ${maxLogPages};
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -65536;
    PRAGMA max_page_count = ${Math.min(Math.floor(maxFileBytes / pageBytes), maxPages)};
  `);
  return database;
}

/** Opens a connection that only makes checkpoints, and syncs what it writes. */
export function openForCheckpoints({ path }: Pick<WorkerData, "path">): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA busy_timeout = 0;");
  return database;
}

/** Opens a connection that only reads. In WAL mode it and the writer never wait for each other. */
export function openForReading({ path }: Pick<WorkerData, "path">): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly: true });
  database.exec("PRAGMA busy_timeout = 2000; PRAGMA cache_size = -65536;");
  return database;
}
