/** Real NATS servers on loopback, each a process of its own, to be killed, frozen and started again. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { freePort } from "./free-port.ts";
import { exitOf } from "./serve-child.ts";

/** A NATS server. */
export interface NatsServer {
  port: number;
  /** Where clients connect, without credentials: `nats://127.0.0.1:PORT`. */
  url: string;
  /** The process of now. */
  readonly pid: number;
  signal(signal: NodeJS.Signals): void;
  /** Ends it as a crash does, if it runs, and waits. */
  kill(): Promise<void>;
  /** Starts it again on the same port, once it has ended. */
  start(): Promise<void>;
  /** Ends it and removes its files. */
  remove(): Promise<void>;
}

/** How a server is set up. */
export interface NatsServerOptions {
  /** Further lines of its configuration file, such as `authorization { token: "t" }`. */
  config?: string;
  /** Routes to other servers of a cluster; undefined for none. */
  cluster?: { port: number; routes: readonly number[] };
  /** The port; by default a free one. One that is down for long needs a port that nobody else is given meanwhile. */
  port?: number;
}

/**
 * Tells whether tests can start a server. Where they cannot, says why; with
 * `CI` set that is a failure, so that nothing is left out unseen.
 */
export function natsServerIsThere(): boolean {
  if (spawnSync("nats-server", ["--version"]).status === 0) return true;
  const reason =
    "nats-server is not installed; tests of the bus between nodes need it (Debian: apt-get install nats-server)";
  if (process.env["CI"]) throw new Error(reason);
  process.stderr.write(`skipped: ${reason}\n`);
  return false;
}

/** Starts a server on a free port and waits until it takes connections. */
export async function startNatsServer({
  config = "",
  cluster,
  port: wantedPort,
}: NatsServerOptions = {}): Promise<NatsServer> {
  const folder = mkdtempSync(join(tmpdir(), "parlance-nats-"));
  const file = join(folder, "nats.conf");
  const port = wantedPort ?? (await freePort());
  const routes = cluster?.routes.map((route) => `"nats-route://127.0.0.1:${route}"`).join(", ");
  writeFileSync(
    file,
    `host: 127.0.0.1
port: ${port}
server_name: "n${port}"
${cluster ? `cluster { name: c, host: 127.0.0.1, port: ${cluster.port}, routes: [${routes}] }` : ""}
${config}
`,
  );
  let child: ChildProcess | undefined;
  let exited: Promise<unknown> | undefined;
  let output = "";

  async function start(): Promise<void> {
    output = "";
    child = spawn("nats-server", ["-c", file], { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr?.on("data", (chunk) => {
      output += chunk;
    });
    let ended = false;
    exited = exitOf(child).finally(() => {
      ended = true;
    });
    await eventually(async () => {
      if (ended) throw new Error(`nats-server ended: ${output}`);
      return output.includes("Server is ready") && (await answers(port));
    });
  }

  async function kill(): Promise<void> {
    child?.kill("SIGKILL");
    await exited;
  }

  await start();
  return {
    port,
    url: `nats://127.0.0.1:${port}`,
    get pid() {
      return child?.pid as number;
    },
    signal: (signal) => void child?.kill(signal),
    kill,
    start,
    async remove() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => resolve(false));
    socket.on("data", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
