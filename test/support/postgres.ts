/** A real PostgreSQL for tests: a throw-away cluster on loopback. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { describe } from "vitest";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";

/** The password of the user `guarded`, the only one who needs one. */
export const guardedPassword = "only-for-tests";

/** A cluster of databases. */
export interface TestPostgres {
  /** The folder of its data. */
  readonly dataDir: string;
  readonly port: number;
  /** The process of now that all others of the server come from. */
  readonly pid: number;
  /** Makes an empty database and returns its URL. */
  createDatabase(): Promise<string>;
  /** Copies a database into a new one, as a dump that is restored, and returns its URL. */
  restoreDump(url: string): Promise<string>;
  /** Returns the URL of a database here. */
  urlOf(database: string, user?: string): string;
  /** Runs statements in a database. */
  query(url: string, sql: string): Promise<pg.QueryResultRow[]>;
  /** Stops the server; with `immediate` as a crash would, without a checkpoint. */
  stop(immediate?: boolean): Promise<void>;
  /** Starts the server again. */
  start(): Promise<void>;
  /** Makes a streaming replica of it. Close it in the end. */
  createStandby(): Promise<TestStandby>;
  /** Stops the server and removes its data. */
  close(): Promise<void>;
}

/** How to run a server. */
export interface TestPostgresOptions {
  /** The port; by default a free one. One that is down for long needs a port that nobody else is given meanwhile. */
  port?: number;
  /** Settings that differ, such as `max_connections`. */
  settings?: Readonly<Record<string, string | number>>;
}

/** A replica. */
export interface TestStandby extends TestPostgres {
  /** Makes it a primary. */
  promote(): Promise<void>;
}

const binaries = findBinaries();

/** The program of the server; undefined where there is none. */
export const postgresProgram = binaries === undefined ? undefined : join(binaries, "postgres");

/** Why there is no PostgreSQL to start, with what to do; undefined where there is one. */
export const postgresMissing =
  binaries === undefined
    ? "no PostgreSQL was found; install it with `apt-get install postgresql`"
    : undefined;

/** Describes what is tested with PostgreSQL: left out, with a word of why, where there is none. */
export function describeWithPostgres(name: string, body: () => void): void {
  if (postgresMissing !== undefined) {
    if (process.env.CI) throw new Error(postgresMissing);
    process.stderr.write(`${name}: skipped, ${postgresMissing}\n`);
  }
  describe.skipIf(binaries === undefined)(name, body);
}

/** Starts a cluster with an administrator `postgres`. Close it in the end. */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const { dataDir, remove } = makeFolder();
  run("initdb", ["-D", dataDir, "-U", "postgres", "-E", "UTF8", "--no-locale", "--auth=trust", "--no-sync"]);
  writeFileSync(
    join(dataDir, "pg_hba.conf"),
    `host all guarded 127.0.0.1/32 scram-sha-256
     host all,replication all 127.0.0.1/32 trust\n`,
  );
  const server = new Server(dataDir, options.port ?? (await freePort()), remove, options.settings);
  await server.start();
  await server.query(server.urlOf("postgres"), `CREATE ROLE guarded LOGIN PASSWORD '${guardedPassword}'`);
  return server;
}

class Server implements TestStandby {
  readonly dataDir: string;
  readonly port: number;
  readonly #remove: () => void;
  readonly #settings: TestPostgresOptions["settings"];
  #child: ChildProcess | undefined;
  #made = 0;
  /** A run that is cut off leaves nothing either. */
  readonly #onExit = () => {
    this.#child?.kill("SIGQUIT");
    this.#remove();
  };

  constructor(
    dataDir: string,
    port: number,
    remove: () => void,
    settings: TestPostgresOptions["settings"] = {},
  ) {
    this.dataDir = dataDir;
    this.port = port;
    this.#remove = remove;
    this.#settings = settings;
    process.once("exit", this.#onExit);
  }

  get pid(): number {
    return this.#child?.pid as number;
  }

  urlOf(database: string, user = "postgres"): string {
    return `postgresql://${user}@127.0.0.1:${this.port}/${database}`;
  }

  async createDatabase(): Promise<string> {
    const name = `test_${++this.#made}`;
    await this.query(this.urlOf("postgres"), `CREATE DATABASE ${name}`);
    return this.urlOf(name);
  }

  async restoreDump(url: string): Promise<string> {
    const copy = await this.createDatabase();
    const file = join(this.dataDir, "dump.sql");
    run("pg_dump", [`--dbname=${url}`, `--file=${file}`]);
    run("psql", ["--quiet", "-v", "ON_ERROR_STOP=1", `--dbname=${copy}`, `--file=${file}`]);
    return copy;
  }

  async query(url: string, sql: string): Promise<pg.QueryResultRow[]> {
    const client = new pg.Client({ connectionString: url });
    client.on("error", () => {});
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }

  async start(): Promise<void> {
    const settings = {
      port: this.port,
      listen_addresses: "127.0.0.1",
      unix_socket_directories: "",
      max_connections: 100,
      shared_buffers: "32MB",
      wal_level: "replica",
      autovacuum_naptime: "5s",
      ...this.#settings,
    };
    const options = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const [file, args] = asUser("postgres", ["-D", this.dataDir, ...options]);
    const child = spawn(file, args, { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    let log = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      log = (log + text).slice(-10_000);
    });
    // Each try is a process more, which a server that recovers on a busy machine has to pay for.
    const tried = async () => {
      if (child.exitCode !== null) throw new Error(`PostgreSQL did not start:\n${log}`);
      return this.query(this.urlOf("postgres"), "SELECT 1").then(
        () => true,
        () => delay(100, false),
      );
    };
    await eventually(tried).catch((error: Error) => {
      throw new Error(`PostgreSQL does not answer; its log:\n${log}`, { cause: error });
    });
  }

  async stop(immediate = false): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const ended = once(child, "exit");
    child.kill(immediate ? "SIGQUIT" : "SIGINT");
    await ended;
  }

  async createStandby(): Promise<TestStandby> {
    const { dataDir, remove } = makeFolder();
    const from = ["-h", "127.0.0.1", "-p", String(this.port), "-U", "postgres"];
    run("pg_basebackup", ["-D", dataDir, ...from, "-R", "-X", "stream", "--no-sync", "-c", "fast"]);
    const standby = new Server(dataDir, await freePort(), remove, this.#settings);
    await standby.start();
    return standby;
  }

  async promote(): Promise<void> {
    await this.query(this.urlOf("postgres"), "SELECT pg_promote()");
  }

  async close(): Promise<void> {
    process.off("exit", this.#onExit);
    await this.stop(true);
    this.#remove();
  }
}

function makeFolder(): { dataDir: string; remove: () => void } {
  const dataDir = mkdtempSync(join(tmpdir(), "parlance-postgres-"));
  chmodSync(dataDir, 0o700);
  if (isRoot) {
    const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
    chownSync(dataDir, id("-u"), id("-g"));
  }
  // A server that is just ending may still write.
  const remove = () => rmSync(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  return { dataDir, remove };
}

const isRoot = process.getuid?.() === 0;

function run(binary: string, args: readonly string[]): void {
  const [file, all] = asUser(binary, args);
  execFileSync(file, all, { stdio: ["ignore", "ignore", "pipe"] });
}

/** PostgreSQL refuses to run as root; its package brings a user for it. */
function asUser(binary: string, args: readonly string[]): [file: string, args: string[]] {
  const file = join(binaries ?? "", binary);
  if (!isRoot) return [file, [...args]];
  return ["setpriv", ["--reuid=postgres", "--regid=postgres", "--init-groups", file, ...args]];
}

/** The folder of PostgreSQL's programs: Debian's newest, or one on the PATH. */
function findBinaries(): string | undefined {
  const debian = "/usr/lib/postgresql";
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [
    ...versions.map((version) => join(debian, version, "bin")),
    ...(process.env.PATH ?? "").split(":"),
  ];
  return folders.find((folder) => existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres")));
}
