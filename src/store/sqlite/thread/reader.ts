/** The worker that reads. Each batch is one transaction, so it sees one state of the store. */

import { type Handlers, packing, runCommand } from "../commands.ts";
import { openForReading } from "../file/database.ts";
import { readIdentity } from "../file/migrations.ts";
import { createConversationReads } from "../tables/conversation-reads.ts";
import { createGroupReads } from "../tables/group-reads.ts";
import { createLogReads } from "../tables/log-reads.ts";
import { createMissedReads } from "../tables/missed-reads.ts";
import { createUserReads } from "../tables/user-reads.ts";
import { type Engine, serve } from "./serve.ts";
import type { WorkerData } from "./wire.ts";

serve(open);

function open(data: WorkerData): Engine {
  const database = openForReading(data);
  const log = createLogReads(database);
  const missed = createMissedReads(database);
  const handlers: Handlers<"reader"> = {
    ...log,
    ...missed,
    ...createConversationReads(database),
    ...createGroupReads(database),
    ...createUserReads(database),
    readSeqs: (...args) => packing.readSeqs(log.readSeqs(...args)),
    readTail: (...args) => packing.readTail(log.readTail(...args)),
    readMissed: (...args) => packing.readMissed(missed.readMissed(...args)),
  };
  const begin = database.prepare("BEGIN");
  const commit = database.prepare("COMMIT");
  const rollback = database.prepare("ROLLBACK");

  return {
    identity: readIdentity(database),
    commands: Object.keys(handlers),
    begin: () => void begin.run(),
    commit: () => void commit.run(),
    rollback() {
      try {
        rollback.run();
      } catch {
        // SQLite has rolled back by itself, or BEGIN was what failed.
      }
    },
    append() {
      throw new Error("the reader does not write");
    },
    call: (name, args) => runCommand(handlers, name, args),
    close: () => database.close(),
  };
}
