/** The worker that writes. It is the only one that ever does. */

import type { DatabaseSync } from "node:sqlite";
import { Clock } from "../../../model/clock.ts";
import { ChatError } from "../../../model/errors.ts";
import { type Handlers, runCommand } from "../commands.ts";
import { openForWriting } from "../file/database.ts";
import { failureOf } from "../file/failures.ts";
import { migrate, readIdentity, renewEpoch } from "../file/migrations.ts";
import { createProbe } from "../file/probe.ts";
import { createAppendMessage } from "../tables/append-message.ts";
import { createChange } from "../tables/change.ts";
import { Log } from "../tables/log.ts";
import { createUserWrites } from "../tables/user-writes.ts";
import { type Engine, serve } from "./serve.ts";
import type { WorkerData } from "./wire.ts";

serve(open);

function open(data: WorkerData, again: boolean): Engine {
  const database = openForWriting(data);
  try {
    // After a sync that failed the system takes what it did not write for written, and never tries again. What
    // the log file holds is written anew, into the database, before anything is appended behind it.
    if (again) database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    migrate(database, data.path);
    if (Atomics.load(data.epochDue, 0) !== 0) {
      renewEpoch(database);
      Atomics.store(data.epochDue, 0, 0);
    }
    return createEngine(database, data);
  } catch (error) {
    database.close();
    throw error;
  }
}

function createEngine(database: DatabaseSync, { checkpointDue, commits, clock: shared }: WorkerData): Engine {
  const clock = new Clock(shared);
  const log = new Log(database, clock);
  const handlers: Handlers<"writer"> = {
    change: createChange(database, log),
    ...createUserWrites(database, log, clock),
    ...createProbe(database),
  };
  const begin = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const rollback = database.prepare("ROLLBACK");
  const savepoint = database.prepare("SAVEPOINT one_call");
  const release = database.prepare("RELEASE one_call");
  const goBack = database.prepare("ROLLBACK TO one_call");

  return {
    identity: readIdentity(database),
    commands: Object.keys(handlers),
    begin() {
      begin.run();
      log.refresh();
    },
    commit() {
      commit.run();
      Atomics.add(commits, 0, 1);
    },
    rollback() {
      log.forget();
      try {
        rollback.run();
      } catch {
        // SQLite has rolled back by itself, or BEGIN was what failed.
      }
    },
    append: createAppendMessage(database, log),
    call(name, args) {
      savepoint.run();
      try {
        const value = runCommand(handlers, name, args);
        release.run();
        return value;
      } catch (error) {
        if (failureOf(error) !== undefined) throw error;
        goBack.run();
        release.run();
        // Refusals come before anything is written.
        if (!(error instanceof ChatError)) log.forget();
        log.refresh();
        throw error;
      }
    },
    tidyUp() {
      if (Atomics.exchange(checkpointDue, 0, 0) === 0) return;
      try {
        database.exec("PRAGMA wal_checkpoint(PASSIVE)");
      } catch {
        // What was committed is in the log, and the next commit finds out what is wrong.
      }
    },
    close: () => database.close(),
  };
}
