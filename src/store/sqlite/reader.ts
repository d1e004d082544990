/** The worker that reads. Each batch is one transaction, so it sees one state of the store. */

import { createConversationReads } from "./conversation-reads.ts";
import { openForReading } from "./database.ts";
import { createGroupReads } from "./group-reads.ts";
import { createLogReads } from "./log-reads.ts";
import { readIdentity } from "./migrations.ts";
import { createMissedReads } from "./missed-reads.ts";
import { packEvents } from "./packed-events.ts";
import { type Engine, serve } from "./serve.ts";
import { createUserReads } from "./user-reads.ts";
import type { WorkerData } from "./wire.ts";

serve(open);

function open(data: WorkerData): Engine {
  const database = openForReading(data);
  const log = createLogReads(database);
  const missed = createMissedReads(database);
  const methods: Record<string, (...args: never[]) => unknown> = {
    ...log,
    ...missed,
    ...createConversationReads(database),
    ...createGroupReads(database),
    ...createUserReads(database),
    readSeqs: (...args: Parameters<typeof log.readSeqs>) => packEvents(log.readSeqs(...args)),
    readTail: (...args: Parameters<typeof log.readTail>) => packEvents(log.readTail(...args)),
    readMissed(...args: Parameters<typeof missed.readMissed>) {
      const page = missed.readMissed(...args);
      return { ...page, events: packEvents(page.events) };
    },
  };
  const begin = database.prepare("BEGIN");
  const commit = database.prepare("COMMIT");
  const rollback = database.prepare("ROLLBACK");

  return {
    identity: readIdentity(database),
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
    call: (name, args) => methods[name]?.(...(args as never[])),
    close: () => database.close(),
  };
}
