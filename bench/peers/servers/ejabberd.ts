import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { domain } from "../clients/xmpp.ts";
import type { Peer, RunningPeer } from "../peer.ts";
import { debianPackage } from "../setup/needs.ts";
import { startPostgres } from "./postgres.ts";
import { freePort, startServer } from "./process.ts";

const common =
  "plain TCP, no shapers, a room that tells nobody who comes and goes, only the modules that the jobs need, Erlang's schedulers do not spin (+sbwt none), log of errors only";

/** ejabberd without an archive. */
export const ejabberd: Peer = {
  name: "ejabberd",
  mode: "no archive",
  durable: false,
  settings: common,
  protocol: "xmpp",
  needs: [debianPackage("ejabberd")],
  start: (folder) => start(folder),
};

/** ejabberd that archives all messages, of users and rooms, in PostgreSQL. */
export const ejabberdArchive: Peer = {
  name: "ejabberd",
  mode: "archive",
  durable: true,
  settings: `${common}; mod_mam in PostgreSQL keeps each direct message for both users and each message of the room once, and does so before it delivers; PostgreSQL's CPU time is counted`,
  protocol: "xmpp",
  needs: [debianPackage("ejabberd"), debianPackage("erlang-p1-pgsql"), debianPackage("postgresql")],
  async start(folder) {
    const postgres = await startPostgres(folder);
    try {
      postgres.psql("-c", "CREATE DATABASE ejabberd");
      postgres.psql("-d", "ejabberd", "-f", "/usr/share/ejabberd/sql/pg.sql");
      const server = await start(folder, postgres.port);
      return {
        port: server.port,
        pids: [...server.pids, postgres.pid],
        kept: async () => postgres.count("ejabberd", "archive"),
        async close() {
          await server.close();
          await postgres.close();
        },
      };
    } catch (error) {
      await postgres.close();
      throw error;
    }
  },
};

async function start(folder: string, databasePort?: number): Promise<RunningPeer> {
  const port = await freePort();
  const spool = join(folder, "mnesia");
  mkdirSync(spool);
  const config = join(folder, "ejabberd.yml");
  writeFileSync(config, configuration(port, databasePort));
  const server = await startServer({
    command: "erl",
    args: [
      ...["-noinput", "+K", "true", "+P", "250000", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"],
      ...["-mnesia", "dir", `"${spool}"`, "-s", "ejabberd"],
    ],
    env: {
      ERL_LIBS: "/usr/lib/x86_64-linux-gnu",
      EJABBERD_CONFIG_PATH: config,
      EJABBERD_LOG_PATH: join(folder, "ejabberd.log"),
      ERL_MAX_PORTS: "32000",
      ERL_CRASH_DUMP_BYTES: "0",
      HOME: folder,
    },
    cwd: folder,
    logFile: join(folder, "log"),
    port,
  });
  return { port, pids: [server.pid], close: () => server.close() };
}

/** JSON is YAML too. */
function configuration(port: number, databasePort: number | undefined): string {
  const archive = databasePort !== undefined;
  return JSON.stringify({
    loglevel: "error",
    hosts: [domain],
    listen: [
      { port, ip: "127.0.0.1", module: "ejabberd_c2s", starttls: false, access: "all", shaper: "none" },
    ],
    auth_method: "internal",
    auth_password_format: "plain",
    registration_timeout: "infinity",
    ...(archive && {
      default_db: "mnesia",
      sql_type: "pgsql",
      sql_server: "127.0.0.1",
      sql_port: databasePort,
      sql_database: "ejabberd",
      sql_username: "postgres",
      sql_password: "",
    }),
    modules: {
      mod_register: { ip_access: "all", access: "all" },
      mod_muc: {
        db_type: "mnesia",
        max_users: 20_000,
        default_room_options: {
          max_users: 20_000,
          presence_broadcast: [],
          // The archive of a room that is not goes with its last occupant.
          persistent: archive,
          mam: archive,
          logging: false,
        },
        history_size: 0,
      },
      ...(archive && { mod_mam: { db_type: "sql", default: "always" } }),
    },
  });
}
