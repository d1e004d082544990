import { DatabaseSync } from "node:sqlite";

/**
 * The writer's connection. `synchronous=FULL` makes every commit wait for the
 * disk: a message that was answered survives a power cut.
 */
export function openForWriting(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  database.exec(`
    PRAGMA busy_timeout = 2000; PRAGMA page_size = 2048;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA wal_autocheckpoint = 2000;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -65536;
  `);
  return database;
}

/** A connection that only reads. In WAL mode it and the writer never wait for each other. */
export function openForReading(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly: true });
  database.exec("PRAGMA busy_timeout = 2000; PRAGMA cache_size = -65536;");
  return database;
}
