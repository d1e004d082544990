import type { ClientBase } from "pg";
import type { LogEvent } from "../../../../wire/log-event.ts";
import { newEpoch } from "../../new-epoch.ts";
import type { StoreEnding } from "../../ports/health.ts";
import { unavailable } from "./failures.ts";

/** How to go on when the server turns out to be a replica that took over: as a new incarnation of the log, or as the same. */
export type Failover = "new-epoch" | "lossless";

const endingTexts: Record<StoreEnding, string> = {
  replaced: "the store was replaced by another; the server has to start anew",
  outdated: "a later release writes to the store; this server ends",
};

interface Standing {
  standby: boolean;
  timeline: string | null;
  epoch: string;
  knownTimeline: string;
  salt: number;
  lastPosition: number;
}

/**
 * Makes sure, on every new connection, that the store is still the one that was
 * opened. A replica that takes over writes on a timeline of its own; unless it
 * was promised that it has everything, it may lack the last commits. Cursors
 * and caches of the old log would be wrong on it, so the store gets a new epoch.
 */
export class Identity {
  epoch = "";
  salt = 0;
  readonly #failover: Failover;
  readonly #listeners = new Set<(ending: StoreEnding) => void>();
  #ending: StoreEnding | undefined;
  /** The highest position that is known to have been committed. */
  #highestPosition = 0;

  constructor(failover: Failover) {
    this.#failover = failover;
  }

  /** Refuses to go on with a store that this process cannot use any more. @throws ChatError STORE_UNAVAILABLE */
  check(): void {
    if (this.#ending !== undefined) throw unavailable(endingTexts[this.#ending]);
  }

  onEnding(listener: (ending: StoreEnding) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Notes events that were seen to be committed. A store without them is another one. */
  saw(events: readonly LogEvent[]): void {
    const last = events.at(-1);
    if (last !== undefined) this.#highestPosition = Math.max(this.#highestPosition, last.position);
  }

  /** Notes why this process cannot go on with the store. */
  end(ending: StoreEnding): void {
    if (this.#ending !== undefined) return;
    this.#ending = ending;
    for (const listener of this.#listeners) listener(ending);
  }

  /**
   * Looks at the store over a new connection.
   *
   * @throws Error when the server is a standby
   * @throws ChatError STORE_UNAVAILABLE when the store was replaced
   */
  async verify(client: Pick<ClientBase, "query">): Promise<void> {
    // Of before the question: its answer need not know what is committed while it is on its way.
    const highestPosition = this.#highestPosition;
    const { rows } = await client.query<Standing>(`
      SELECT pg_is_in_recovery() AS standby, h.epoch, h.salt, h.timeline AS "knownTimeline",
        h.last_position AS "lastPosition", ${currentTimeline} AS timeline
      FROM log_head h
    `);
    const found = rows[0];
    if (found === undefined) throw new Error("the store lost its head");
    if (found.standby || found.timeline === null)
      throw new Error("the server is a standby, which cannot write");
    const isLost = found.lastPosition < highestPosition;
    const isMoved = found.timeline !== found.knownTimeline;
    let epoch = found.epoch;
    if (isMoved || (isLost && epoch === this.epoch)) {
      const isNew = isLost || this.#failover === "new-epoch";
      const noted = await client.query<{ epoch: string }>("SELECT note_timeline_1($1, $2, $3, $4) AS epoch", [
        found.epoch,
        found.knownTimeline,
        found.timeline,
        isNew ? newEpoch() : null,
      ]);
      epoch = noted.rows[0]?.epoch ?? "";
    }
    if (this.epoch === "") {
      this.epoch = epoch;
      this.salt = found.salt;
    } else if (this.epoch !== epoch) {
      this.end("replaced");
    }
    this.check();
  }
}

/**
 * The timeline the server writes on; null on a standby. Timelines are numbered
 * from 1 in every system, so it comes with what tells systems, databases and
 * tables apart: a store that was restored from a dump is found to be another.
 */
export const currentTimeline = `
  CASE WHEN NOT pg_is_in_recovery() THEN
    substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || concat_ws('/', '',
      (SELECT system_identifier FROM pg_control_system()),
      (SELECT oid FROM pg_database WHERE datname = current_database()),
      'log_head'::regclass::oid)
  END`;
