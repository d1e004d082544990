import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync, chmodSync, chownSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, type ServerProcess, startServer } from "./process.ts";

/** A database for a peer. */
export interface Postgres extends ServerProcess {
  port: number;
  /** Runs psql and returns what it prints. */
  psql(...args: string[]): string;
  /** Returns how many rows a table has. */
  count(database: string, table: string): number;
}

const pollMs = 50;
const maxPolls = 200;
const installations = "/usr/lib/postgresql";

/** What its documentation says for a machine of this size; commits wait for the disk, as is the default. */
const settings = `
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 512MB
max_wal_size = 4GB
wal_compression = on
`;

/**
 * Starts a PostgreSQL server of its own. It refuses to run as root, so then it
 * runs as the user that its package made.
 *
 * @param folder where to put its files
 */
export async function startPostgres(folder: string): Promise<Postgres> {
  const version = readdirSync(installations).toSorted((a, b) => Number(b) - Number(a))[0] ?? "";
  const bin = (name: string) => join(installations, version, "bin", name);
  const data = join(folder, "postgres");
  mkdirSync(data);
  let asUser: string[] = [];
  if (process.getuid?.() === 0) {
    asUser = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"];
    const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
    chownSync(data, id("-u"), id("-g"));
    chmodSync(folder, 0o755);
  }
  const command = (name: string, ...args: string[]): [string, ...string[]] =>
    [...asUser, bin(name), ...args] as [string, ...string[]];
  const execute = (...[program, ...args]: [string, ...string[]]) =>
    execFileSync(program, args, { cwd: data, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

  execute(...command("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8"));
  appendFileSync(join(data, "postgresql.conf"), settings);
  const port = await freePort();
  const [program, ...args] = command("postgres", "-D", data, "-p", String(port));
  const server = await startServer({
    command: program,
    args,
    cwd: data,
    logFile: join(folder, "postgres.log"),
    port,
    // Ends its processes and lets its shared memory go, without writing anything.
    stopSignal: "SIGQUIT",
  });
  const client = ["-h", "127.0.0.1", "-p", String(port)];
  // It listens before it takes connections.
  for (let i = 0; spawnSync(bin("pg_isready"), ["-q", ...client]).status !== 0; i++) {
    if (i > maxPolls) throw new Error("PostgreSQL takes no connections");
    await sleep(pollMs);
  }
  const psql = (...args: string[]) => execute(bin("psql"), "-q", "-At", ...client, "-U", "postgres", ...args);
  return {
    ...server,
    port,
    psql,
    count: (database, table) => Number(psql("-d", database, "-c", `SELECT count(*) FROM ${table}`)),
  };
}
