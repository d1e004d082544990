/**
 * The worker that carries what was committed from the write-ahead log into the
 * database, beside the writer: that takes many times as long as a commit, and
 * no answer should wait for it.
 *
 * Only the writer can begin the log anew, by a checkpoint that leaves nothing
 * in it. It is asked for that when little is left to do.
 */

import { fsyncSync } from "node:fs";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { maxLogPages, openForCheckpoints } from "../file/database.ts";
import { closeMessage, type WorkerData } from "./wire.ts";

/** The data that the checkpointer starts with. */
export interface CheckpointerData extends WorkerData {
  /**
   * The database, open: not by this worker, since a file that is closed loses
   * the locks that SQLite has on it, for the whole process.
   */
  file: number;
}

const lookEveryMs = 100;
/** How many pages the log has before they are carried over. */
const worthwhilePages = maxLogPages / 2;
/** How few of them the writer may be left with. */
const fewPages = 200;
/** The most passes in a row: with each the writer adds less. */
const maxPasses = 4;

const port = parentPort as MessagePort;
const { file, ...data } = workerData as CheckpointerData;
let database: DatabaseSync | undefined;
/** Of the log as it was found nothing is known. */
let commitsSeen: number | undefined;

const timer = setInterval(() => {
  const commits = Atomics.load(data.commits, 0);
  if (commits === commitsSeen) return;
  try {
    database ??= openForCheckpoints(data);
    carryOver(database);
    commitsSeen = commits;
  } catch {
    // The log has everything still, and the writer finds out for itself what is wrong with the disk.
    database?.close();
    database = undefined;
  }
}, lookEveryMs);

port.on("message", (message) => {
  if (message !== closeMessage) return;
  clearInterval(timer);
  database?.close();
  port.close();
});

function carryOver(database: DatabaseSync): void {
  // SQLite before 3.51 takes this for a pass: not wrong, only more often than need be.
  const look = database.prepare("PRAGMA wal_checkpoint(NOOP)");
  if (pagesLeft(look) < worthwhilePages) return;
  const pass = database.prepare("PRAGMA wal_checkpoint(PASSIVE)");
  for (let i = 0; i < maxPasses && pagesLeft(look) > fewPages; i++) {
    pass.get();
    // SQLite leaves this to the pass that empties the log, which will be the writer's.
    fsyncSync(file);
  }
  Atomics.store(data.checkpointDue, 0, 1);
}

/** How many pages of the log are not in the database. */
function pagesLeft(look: StatementSync): number {
  const { log, checkpointed } = look.get() as { log: number; checkpointed: number };
  return log - checkpointed;
}
