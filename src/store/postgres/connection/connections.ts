import pg from "pg";
import type { Clock } from "../../../model/clock.ts";
import type { ChatError } from "../../../model/errors.ts";
import { parseBigints } from "./binary-arrays.ts";
import { endingOf, failureOf, isBroken, nulInId, unavailable } from "./failures.ts";
import type { Identity } from "./identity.ts";
import { logRelease } from "./release.ts";

/** How long to wait for a connection, also for one of the pool's. */
const connectTimeoutMs = 5_000;
/** How much longer than the server's own limit an answer may take before the connection is given up. */
const answerGraceMs = 2_000;
/** For how long the same is tried again. */
const maxRetryMs = 3_000;

/** A statement with a name, which each connection prepares once. */
export interface Statement {
  name: string;
  text: string;
}

/** How a pool is used. */
export interface ConnectionsOptions {
  url: string;
  schema: string;
  identity: Identity;
  clock: Clock;
  /** The most connections. */
  max: number;
  /** The most statements that may be under way or wait for a connection; more are refused. */
  maxWaiting: number;
  /** How long the server may work on a statement. */
  statementTimeoutMs: number;
  /** The name by which the server shows who is connected. */
  applicationName: string;
  /** Called with failures of the database, other than refusals. */
  onFailure(error: ChatError): void;
}

/** A few connections to the database, and a bounded queue in front of them. */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #pool: pg.Pool;
  readonly #underWay = new Set<Promise<unknown>>();
  #closed = false;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    const { url, max, statementTimeoutMs, applicationName } = options;
    this.#pool = new pg.Pool({
      ...clientConfig(url, applicationName),
      max,
      query_timeout: statementTimeoutMs + answerGraceMs,
      idleTimeoutMillis: 60_000,
      onConnect: (client) => this.#prepare(client),
    });
    // A connection that ends while nobody uses it is replaced by the next one who needs it.
    this.#pool.on("error", () => {});
  }

  /**
   * Runs one statement in a transaction of its own; again, a few times, where
   * that it failed means that nothing happened.
   *
   * @throws ChatError STORE_UNAVAILABLE, STORAGE_FULL
   */
  run<Row extends pg.QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<Row[]> {
    if (this.#closed) return Promise.reject(unavailable("the store is closed"));
    if (this.#underWay.size >= this.#options.maxWaiting) {
      return Promise.reject(unavailable("the store cannot keep up; try again"));
    }
    const running = this.#runWithRetries<Row>(statement, values);
    this.#underWay.add(running);
    const forget = () => void this.#underWay.delete(running);
    running.then(forget, forget);
    return running;
  }

  /** Refuses new statements, waits for those under way and ends the connections. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#underWay);
    await this.#pool.end();
  }

  async #runWithRetries<Row extends pg.QueryResultRow>(
    statement: Statement,
    values: readonly unknown[],
  ): Promise<Row[]> {
    for (const startMs = this.#options.clock.monotonic(); ; ) {
      this.#options.identity.check();
      try {
        return await this.#runOnce<Row>(statement, values);
      } catch (error) {
        const ending = endingOf(error);
        if (ending !== undefined) {
          this.#options.identity.end(ending);
          this.#options.identity.check();
        }
        if (error instanceof pg.DatabaseError && error.code === "22021") throw nulInId(error);
        const failure = failureOf(error);
        if (failure?.retry === true && this.#options.clock.monotonic() - startMs < maxRetryMs) continue;
        if (failure !== undefined) this.#options.onFailure(failure.error);
        throw failure?.error ?? error;
      }
    }
  }

  async #runOnce<Row extends pg.QueryResultRow>(
    statement: Statement,
    values: readonly unknown[],
  ): Promise<Row[]> {
    const client = await this.#pool.connect();
    let broken = false;
    try {
      const { rows } = await client.query<Row>({ ...statement, values: values as unknown[] });
      return rows;
    } catch (error) {
      broken = isBroken(error);
      throw error;
    } finally {
      client.release(broken);
    }
  }

  /** Prepares a new connection and makes sure that it leads to the store. */
  async #prepare(client: pg.ClientBase): Promise<void> {
    const { schema, statementTimeoutMs, identity } = this.#options;
    // The pool listens only while nobody uses it, and a connection may end right before a statement, too.
    client.on("error", () => {});
    await client.query(settingsSql, [`"${schema}"`, String(statementTimeoutMs)]);
    await identity.verify(client);
    await client.query("SELECT set_config('parlance.epoch', $1, false)", [identity.epoch]);
  }
}

/**
 * Every read and write goes by an index. Tables that have just been made look
 * small to the planner, and a plan without indexes would be kept for long.
 */
const settingsSql = `
  SELECT set_config('search_path', $1, false),
    set_config('statement_timeout', $2, false),
    set_config('lock_timeout', $2, false),
    set_config('idle_in_transaction_session_timeout', '2000', false),
    set_config('synchronous_commit',
      CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false),
    set_config('default_transaction_isolation', 'read committed', false),
    set_config('enable_seqscan', 'off', false),
    set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false),
    set_config('enable_bitmapscan', 'off', false),
    set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('jit', 'off', false),
    set_config('parlance.release', '${logRelease}', false)
`;

/** Returns the options of every connection. */
export function clientConfig(url: string, applicationName: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    types: { getTypeParser: (oid) => parsers.get(Number(oid)) ?? ((text: string) => text) },
  };
}

/** Reads values by the numbers of their types in `pg_type`. */
const parsers = new Map<number, (text: string) => unknown>([
  [16, (text) => text === "t"],
  [17, parseBytea],
  [20, Number],
  [21, Number],
  [23, Number],
  [114, JSON.parse],
  [1016, parseBigints],
]);

function parseBytea(text: string): Uint8Array {
  const bytes = Buffer.from(text.slice(2), "hex");
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
