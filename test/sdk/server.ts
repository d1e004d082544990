/** Servers for the tests of the client. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config/config.ts";
import { type RunningServer, startServer } from "../../src/host/server.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { freePort } from "../support/free-port.ts";
import { noRatesEnv } from "../support/rates.ts";

/** Makes a folder for a store; `remove` deletes it. */
export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "parlance-sdk-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Starts a server in this process. Settings are written as on the command line. */
export function serve(dataDir: string, settings: Record<string, string> = {}): Promise<RunningServer> {
  const options = { dataDir, port: "0", http: "off", logLevel: "warn", drainGraceMs: "2000", ...settings };
  const config = loadConfig({ options, env: noRatesEnv });
  return startServer(config, createLogger(config));
}

/** A server that can be killed without warning and started again on the same port and store. */
export interface MortalServer {
  address: string;
  /** Sends SIGKILL and waits for the end. */
  kill(): Promise<void>;
  /** Starts it again and waits until it listens. */
  start(): Promise<void>;
}

/** Starts a server of its own process. */
export async function serveApart(dataDir: string): Promise<MortalServer> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  const server: MortalServer = {
    address: `127.0.0.1:${port}`,
    async kill() {
      const killed = child;
      if (killed === undefined || killed.exitCode !== null || killed.signalCode !== null) return;
      const exited = new Promise((resolve) => killed.once("exit", resolve));
      killed.kill("SIGKILL");
      await exited;
    },
    async start() {
      const main = new URL("../../src/main.ts", import.meta.url).pathname;
      const started = spawn(
        process.execPath,
        [main, "serve", "--port", String(port), "--no-http", "--data-dir", dataDir, "--log-level", "warn"],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      child = started;
      await new Promise<void>((resolve, reject) => {
        started.stdout.once("data", () => resolve());
        started.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
      });
      started.stdout.resume();
    },
  };
  await server.start();
  return server;
}

/** Waits until something is true. */
export async function until(condition: () => boolean, what: string, timeoutMs = 120_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
