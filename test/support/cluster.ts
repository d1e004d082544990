/** A whole service on loopback: PostgreSQL, NATS and several nodes, each a process of its own. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe } from "vitest";
import { freePort } from "./free-port.ts";
import { type NatsServer, startNatsServer } from "./nats.ts";
import { postgresMissing, startPostgres, type TestPostgres } from "./postgres.ts";
import { serveEnv } from "./rates.ts";
import { exitOf } from "./serve-child.ts";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** A node's process. It keeps its ports when it is started again. */
export interface ClusterNode {
  name: string;
  address: string;
  httpAddress: string;
  adminAddress: string;
  /** The process of now. */
  readonly pid: number;
  /** What its last process has written to its standard error output: log lines. */
  stderr: () => string;
  /** Resolves when its last process has ended, with its exit code or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  signal: (signal: NodeJS.Signals) => void;
  /** Asks it to end, and waits for that. */
  stop: () => Promise<number | NodeJS.Signals>;
  /** Ends it at once, if it runs, and waits. */
  kill: () => Promise<void>;
  /** Starts it, once it has ended, and waits until it serves. */
  start: () => Promise<void>;
  /** Starts it and does not wait. */
  launch: () => void;
}

/** What the nodes of a service need. */
export interface ClusterParts {
  postgres: TestPostgres;
  nats: NatsServer;
  /** The database of this service. */
  databaseUrl: string;
  /** The settings that all nodes have in common, as options of `serve`. */
  args: readonly string[];
}

/** A running service of several nodes. */
export interface Cluster extends ClusterParts {
  nodes: readonly ClusterNode[];
  /** The gRPC addresses of the nodes. */
  addresses: string[];
  /** Stops all of it and removes its files. */
  close: () => Promise<void>;
}

/** Why no service of several nodes can be started here, with what to do; undefined where one can. */
export const clusterMissing =
  postgresMissing ??
  (spawnSync("nats-server", ["--version"]).status === 0
    ? undefined
    : "nats-server was not found; install it with `apt-get install nats-server`");

/** Describes what is tested with several nodes: left out, with a word of why, where there can be none. */
export function describeWithCluster(name: string, body: () => void): void {
  if (clusterMissing !== undefined) {
    if (process.env["CI"]) throw new Error(clusterMissing);
    process.stderr.write(`${name}: skipped, ${clusterMissing}\n`);
  }
  describe.skipIf(clusterMissing !== undefined)(name, body);
}

/** Starts PostgreSQL and NATS for nodes to come. */
export async function startClusterParts(): Promise<ClusterParts & { close: () => Promise<void> }> {
  const started = await Promise.allSettled([startPostgres(), startNatsServer()]);
  const [postgres, nats] = started.map((each) => (each.status === "fulfilled" ? each.value : undefined)) as [
    TestPostgres | undefined,
    NatsServer | undefined,
  ];
  const close = async () => {
    await Promise.all([postgres?.close(), nats?.remove()]);
  };
  try {
    for (const each of started) if (each.status === "rejected") throw each.reason;
    if (postgres === undefined || nats === undefined) throw new Error("a part is missing");
    killAtExit(() => ({ kill: (signal) => nats.signal(signal) }));
    const databaseUrl = await postgres.createDatabase();
    const args = ["--database-url", databaseUrl, "--nats-url", nats.url];
    return { postgres, nats, databaseUrl, args, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Starts a service. Close it in the end.
 *
 * @param count how many nodes
 * @param args further options of `serve`, for all nodes
 */
export async function startCluster(count = 3, args: readonly string[] = []): Promise<Cluster> {
  const parts = await startClusterParts();
  const folder = mkdtempSync(join(tmpdir(), "parlance-cluster-"));
  const nodes: ClusterNode[] = [];
  const close = async () => {
    await Promise.all(nodes.map((node) => node.kill()));
    await parts.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (let number = 1; number <= count; number++) {
      const name = `node-${number}`;
      nodes.push(await createNode(name, join(folder, name), [...parts.args, ...args]));
    }
    // The first makes the tables, for which the others would wait anyway.
    await nodes[0]?.start();
    await Promise.all(nodes.slice(1).map((node) => node.start()));
    return { ...parts, nodes, addresses: nodes.map(({ address }) => address), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Prepares a node. It runs in a folder of its own, which is made. Later arguments win over its own. */
export async function createNode(
  name: string,
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ClusterNode> {
  mkdirSync(folder, { recursive: true });
  const [port, httpPort, adminPort] = [await freePort(), await freePort(), await freePort()];
  const own = ["--node", name, "--data-dir", folder];
  const ports = ["--port", port, "--http-port", httpPort, "--admin-port", adminPort].map(String);
  let child: ChildProcess | undefined;
  let exited: Promise<number | NodeJS.Signals> = Promise.resolve(0);
  let stderr = "";
  killAtExit(() => child);

  let serving: Promise<void> = Promise.resolve();

  function launch(): void {
    stderr = "";
    const started = spawn(
      process.execPath,
      [main, "serve", ...own, ...ports, "--log-level", "warn", ...args],
      {
        cwd: folder,
        stdio: ["ignore", "pipe", "pipe"],
        env: serveEnv(env),
      },
    );
    child = started;
    started.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    const ended = exitOf(started);
    exited = ended;
    serving = new Promise<void>((resolve, reject) => {
      started.stdout.on("data", (chunk) => {
        if (String(chunk).includes("listens on")) resolve();
      });
      ended.then((how) => reject(new Error(`${name} ended with ${how}: ${stderr}`)), reject);
    });
    serving.catch(() => {});
  }

  return {
    name,
    address: `127.0.0.1:${port}`,
    httpAddress: `127.0.0.1:${httpPort}`,
    adminAddress: `127.0.0.1:${adminPort}`,
    get pid() {
      return child?.pid as number;
    },
    stderr: () => stderr,
    get exited() {
      return exited;
    },
    signal: (signal) => void child?.kill(signal),
    stop() {
      child?.kill("SIGTERM");
      return exited;
    },
    async kill() {
      child?.kill("SIGKILL");
      await exited;
    },
    start() {
      launch();
      return serving;
    },
    launch,
  };
}

const running: (() => { kill: (signal: NodeJS.Signals) => unknown } | undefined)[] = [];

/** Sees to it that a run that is cut off leaves nothing either. */
function killAtExit(child: (typeof running)[number]): void {
  if (running.push(child) > 1) return;
  process.once("exit", () => {
    for (const each of running) each()?.kill("SIGKILL");
  });
}
