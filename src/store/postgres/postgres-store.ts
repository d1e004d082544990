import type { LogEvent } from "../../../wire/log-event.ts";
import { type Clock, systemClock } from "../../model/clock.ts";
import type { ChatError } from "../../model/errors.ts";
import type { Store } from "../store.ts";
import { Connections } from "./connection/connections.ts";
import { nulInId } from "./connection/failures.ts";
import { type Failover, Identity } from "./connection/identity.ts";
import { StoreOpenError } from "./connection/open-error.ts";
import { probeStatements } from "./connection/probe.ts";
import { migrate } from "./schema/migrations.ts";
import { conversationNotFound } from "./tables/append-batch.ts";
import { createChange } from "./tables/change.ts";
import { createConversationReads } from "./tables/conversation-reads.ts";
import { createGroupReads } from "./tables/group-reads.ts";
import { createLogReads } from "./tables/log-reads.ts";
import { createMissedReads } from "./tables/missed-reads.ts";
import { createUserReads } from "./tables/user-reads.ts";
import { createUserWrites } from "./tables/user-writes.ts";
import { WriteQueue } from "./tables/write-queue.ts";

export type { Failover } from "./connection/identity.ts";
export { StoreOpenError };

/** Settings of the store. */
export interface PostgresStoreOptions {
  /** Where the database is, `postgresql://user:password@host:port/database`. */
  url: string;
  /** The most connections this process keeps, at least 4. Default 10. */
  poolSize?: number;
  /** The schema that holds everything; made if need be. Default `parlance`. */
  schema?: string;
  /**
   * The meaning of a failover: `lossless` promises that the replica that took over
   * has everything, as with synchronous replication; by default a new epoch.
   */
  failover?: Failover;
  /** The most writes to logs that may wait; more are refused. Default 100,000. */
  maxWaitingWrites?: number;
  /** The most bytes of message bodies that may wait. Default 256 MiB. */
  maxWaitingBytes?: number;
  /** The most reads that may wait, and as many writes of other kinds; more are refused. Default 10,000. */
  maxWaitingReads?: number;
  /** By default the machine's. When events were accepted is told by that of the database. */
  clock?: Clock;
}

/** How long the server may work on one statement. */
const writeTimeoutMs = 2_000;
const readTimeoutMs = 10_000;
/** How many connections serve writes that do not change logs. */
const writeConnections = 2;

/**
 * Opens the store in a PostgreSQL database. Several processes may share it.
 *
 * @throws StoreOpenError when the database cannot be reached, or cannot be used
 */
export async function createPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const { url, poolSize = 10, schema = "parlance", maxWaitingReads = 10_000, clock = systemClock } = options;
  await migrate(url, schema);

  const identity = new Identity(options.failover ?? "new-epoch");
  const appendListeners = new Set<(events: readonly LogEvent[]) => void>();
  const failureListeners = new Set<(error: ChatError) => void>();
  const onWriteFailed = (error: ChatError) => {
    for (const listener of failureListeners) listener(error);
  };
  const onAppended = (events: readonly LogEvent[]) => {
    identity.saw(events);
    for (const listener of appendListeners) listener(events);
  };
  const connections = (name: string, rest: { max: number; maxWaiting: number }) =>
    new Connections({
      url,
      schema,
      identity,
      clock,
      applicationName: `parlance ${name}`,
      statementTimeoutMs: name === "reads" ? readTimeoutMs : writeTimeoutMs,
      onFailure: name === "reads" ? () => {} : onWriteFailed,
      ...rest,
    });
  // The log has a connection of its own, so that nothing else ever makes messages wait for one.
  const log = connections("log", { max: 1, maxWaiting: 10 });
  const writes = connections("writes", { max: writeConnections, maxWaiting: maxWaitingReads });
  const reads = connections("reads", {
    max: Math.max(1, poolSize - writeConnections - 1),
    maxWaiting: maxWaitingReads,
  });
  const queue = new WriteQueue({
    connections: log,
    identity,
    clock,
    maxWaiting: options.maxWaitingWrites ?? 100_000,
    maxWaitingBytes: options.maxWaitingBytes ?? 268_435_456,
    onAppended,
  });
  const closeAll = async () => {
    await queue.close();
    await Promise.all([log.close(), writes.close(), reads.close()]);
  };

  const logReads = createLogReads(reads);
  try {
    await logReads.lastPosition();
  } catch (error) {
    await closeAll();
    throw toOpenError(error);
  }

  const change = createChange(log, identity);
  let closed: Promise<void> | undefined;
  return {
    epoch: identity.epoch,
    salt: identity.salt,
    onAppended: (listener) => {
      appendListeners.add(listener);
      return () => void appendListeners.delete(listener);
    },
    async append(draft) {
      const ids = [draft.conversationId, draft.senderId, draft.recipientId, draft.groupId];
      // Found by the server it would fail the whole batch.
      if (ids.some((id) => id?.includes("\0"))) throw nulInId();
      return queue.append(draft);
    },
    async markRead(userId, conversationId, upToSeq) {
      if (userId.includes("\0") || conversationId.includes("\0")) throw conversationNotFound(conversationId);
      return queue.markRead({ userId, conversationId, upToSeq });
    },
    // Nothing that was asked for later overtakes it.
    change: (name, request) =>
      queue.run(async () => {
        const changed = await change(name, request);
        if (changed.events.length > 0) onAppended(changed.events);
        return changed;
      }),
    ...logReads,
    async readTail(afterPosition, limit) {
      const events = await logReads.readTail(afterPosition, limit);
      identity.saw(events);
      return events;
    },
    ...createMissedReads(reads),
    ...createConversationReads(reads),
    ...createGroupReads(reads),
    ...createUserReads(reads),
    ...createUserWrites(writes, identity, clock),
    onWriteFailed: (listener) => {
      failureListeners.add(listener);
      return () => void failureListeners.delete(listener);
    },
    onEnding: (listener) => identity.onEnding(listener),
    async probe() {
      const [{ id }] = (await writes.run<{ id: number }>(probeStatements.put, [])) as [{ id: number }];
      await writes.run(probeStatements.remove, [id]);
    },
    close: () => (closed ??= closeAll()),
  };
}

/** Turns what the first read met into an error of opening. */
function toOpenError(error: unknown): StoreOpenError {
  const { message, cause } = error as Error;
  const reason = cause instanceof Error ? cause.message : message;
  return new StoreOpenError(`the database does not answer: ${reason}`, true, { cause: error });
}
