/** Which store and which bus a configuration means, and how they are opened. */

import pg from "pg";
import type { Bus } from "../bus/bus.ts";
import { createLocalBus } from "../bus/local.ts";
import { createNatsBus } from "../bus/nats/nats-bus.ts";
import { clockOffset, clockToleranceMs } from "../cluster/clock.ts";
import type { Config } from "../config/config.ts";
import { type Clock, systemClock } from "../model/clock.ts";
import type { Logger } from "../model/logger.ts";
import { createPostgresStore, StoreOpenError } from "../store/postgres/postgres-store.ts";
import { createSqliteStore } from "../store/sqlite/sqlite-store.ts";
import type { Store } from "../store/store.ts";
import { dataFileOf } from "./maintenance.ts";
import { waitFor } from "./wait-for.ts";

type StoreSettings = Pick<Config, "dataDir" | "databaseUrl"> &
  Partial<Pick<Config, "databasePoolSize" | "databaseSchema" | "databaseFailover">>;
type BusSettings = Pick<Config, "natsUrl"> &
  Partial<
    Pick<
      Config,
      | "natsUser"
      | "natsPassword"
      | "natsToken"
      | "natsCredsFile"
      | "natsTlsCaFile"
      | "natsTlsCertFile"
      | "natsTlsKeyFile"
      | "natsPrefix"
      | "node"
    >
  >;

/**
 * Opens the store.
 *
 * @throws Error in words for people, as when another process has the file or the database cannot be reached
 */
export function createStore(settings: StoreSettings, log: Logger, clock = systemClock): Promise<Store> {
  const { databaseUrl: url, databasePoolSize, databaseSchema, databaseFailover } = settings;
  if (url === undefined) return createSqliteStore({ path: dataFileOf(settings), logger: log, clock });
  return createPostgresStore({
    url,
    clock,
    ...(databasePoolSize !== undefined && { poolSize: databasePoolSize }),
    ...(databaseSchema !== undefined && { schema: databaseSchema }),
    ...(databaseFailover !== undefined && { failover: databaseFailover }),
  });
}

/**
 * Opens the bus.
 *
 * @param store what its messages speak of
 * @param signal given, it ends the wait for a NATS that cannot be reached yet; without it there is none
 * @throws Error in words for people, as when NATS refuses the credentials
 */
export async function createBus(
  settings: BusSettings,
  store: Pick<Store, "epoch" | "salt">,
  log: Logger,
  signal?: AbortSignal,
): Promise<Bus> {
  const { natsUrl: url, node, natsPrefix } = settings;
  if (url === undefined) return createLocalBus();
  return createNatsBus({
    url,
    store,
    user: settings.natsUser,
    password: settings.natsPassword,
    token: settings.natsToken,
    credsFile: settings.natsCredsFile,
    tlsCaFile: settings.natsTlsCaFile,
    tlsCertFile: settings.natsTlsCertFile,
    tlsKeyFile: settings.natsTlsKeyFile,
    ...(natsPrefix !== undefined && { prefix: natsPrefix }),
    ...(node !== undefined && { name: `parlance ${node}` }),
    ...(signal !== undefined && { waitForServer: true, signal }),
    log,
  });
}

/** Does what `createStore` does, waits for a database that cannot be reached yet, and logs when its clock differs. */
export async function openStore(
  settings: StoreSettings,
  log: Logger,
  signal: AbortSignal,
  clock: Clock,
): Promise<Store> {
  const store = await waitFor({
    what: "PostgreSQL",
    open: () => createStore(settings, log, clock),
    passes: (error) => error instanceof StoreOpenError && error.notReachable,
    log,
    signal,
  });
  if (settings.databaseUrl !== undefined) {
    await warnOfClock(settings.databaseUrl, log).catch((err) =>
      log.warn({ err }, "the database could not be asked for its time"),
    );
  }
  return store;
}

async function warnOfClock(url: string, log: Logger): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    query_timeout: 5_000,
  });
  // A connection that breaks later on is none of ours any more.
  client.on("error", () => {});
  await client.connect();
  try {
    const askedMs = Date.now();
    const { rows } = await client.query("SELECT extract(epoch FROM clock_timestamp()) * 1000 AS time_ms");
    const clockOffsetMs = Math.round(clockOffset(Number(rows[0]?.time_ms), askedMs, Date.now()));
    if (Math.abs(clockOffsetMs) > clockToleranceMs)
      log.warn({ clockOffsetMs }, "the clock of the database differs; set both by NTP");
  } finally {
    await client.end();
  }
}
