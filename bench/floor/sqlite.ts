/**
 * A floor: a bare loop that stores what a log stores, a hundred rows to a
 * durable commit. Its parent says for how many milliseconds, and is told how
 * many rows that were.
 *
 * `node sqlite.ts FILE`
 */

import { DatabaseSync } from "node:sqlite";
import { MessageIds } from "../load/sends.ts";
import { event } from "./wire.ts";

const rowsPerCommit = 100;
const conversations = 500;

const database = new DatabaseSync(process.argv[2] ?? ":memory:");
database.exec(`
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    client_message_id TEXT NOT NULL,
    body BLOB NOT NULL
  );
  CREATE UNIQUE INDEX by_seq ON events (conversation, seq);
  CREATE UNIQUE INDEX by_client_message_id ON events (client_message_id);
`);
const insert = database.prepare(
  "INSERT INTO events (conversation, seq, client_message_id, body) VALUES (?, ?, ?, ?)",
);
const ids = new MessageIds();
let stored = 0;

function storeFor(ms: number): number {
  const before = stored;
  for (const endMs = performance.now() + ms; performance.now() < endMs; ) {
    database.exec("BEGIN IMMEDIATE");
    for (let i = 0; i < rowsPerCommit; i++, stored++) {
      insert.run(stored % conversations, Math.floor(stored / conversations), ids.next(), event);
    }
    database.exec("COMMIT");
  }
  return stored - before;
}

process.on("message", (ms) => process.send?.(storeFor(Number(ms))));
process.stdout.write("ready\n");
