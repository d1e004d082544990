/**
 * A process that keeps rows as the store does, in WAL mode. For each line of its
 * input, a number, it commits a row with that number, then writes the number, or
 * the number and an error. Arguments: the file, `synchronous` and after how many
 * pages to checkpoint, 0 for never.
 */

import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";

const [path = "", synchronous, checkpointPages] = process.argv.slice(2);
const database = new DatabaseSync(path);
database.exec(`
  PRAGMA journal_mode = WAL;
  PRAGMA wal_autocheckpoint = ${checkpointPages};
  CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
  -- Only now, so that the table is there for sure.
  PRAGMA synchronous = ${synchronous};
`);
const insert = database.prepare("INSERT INTO rows VALUES (?, randomblob(1500))");
writeSync(1, "ready\n");
for await (const line of createInterface({ input: process.stdin })) {
  try {
    insert.run(Number(line));
    writeSync(1, `${line}\n`);
  } catch (error) {
    writeSync(1, `${line} ${(error as Error).message}\n`);
  }
}
database.close();
