/** `parlance serve` as a process of its own, to be killed, frozen and measured. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serveEnv } from "./rates.ts";

/** The `main.ts` of these sources. */
export const ownMain = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** A running `serve`. */
export interface ServeChild {
  address: string;
  /** Where it speaks HTTP; empty when that is off. */
  httpAddress: string;
  pid: number;
  dataDir: string;
  /** What it has written to its standard error output: log lines. */
  stderr: () => string;
  /** The lines of those above `info`, and what is no log line. */
  problems: () => string[];
  /** How much memory it has, in bytes. */
  residentBytes: () => number;
  signal: (signal: NodeJS.Signals) => void;
  /** Resolves when it has ended, with its exit code or the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>;
  /** Ends it at once, if it has not ended, and waits. */
  kill: () => Promise<void>;
}

/** Makes a folder for a server's data. */
export function makeDataDir(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "parlance-serve-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** How to run a server's process. */
export interface ServeOptions {
  /** Options of node itself. */
  nodeArgs?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** A command to run node with, such as `ip netns exec NAME`. It has to become node, not to start it. */
  wrapper?: readonly string[];
  /** The `main.ts` of another checkout, whose server to run. */
  main?: string;
}

/**
 * Starts `serve`, on a free port unless `args` say otherwise, and waits until it listens. It has no limits by rate,
 * and all see each other's presence, unless `env` says so.
 */
export async function startServe(
  dataDir: string,
  args: readonly string[] = [],
  { nodeArgs = [], env = {}, wrapper = [], main = ownMain }: ServeOptions = {},
): Promise<ServeChild> {
  const [command = "", ...rest] = [...wrapper, process.execPath, ...nodeArgs, main, "serve"];
  const child = spawn(
    command,
    [...rest, "--port", "0", "--http-port", "0", "--data-dir", dataDir, "--log-level", "warn", ...args],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: serveEnv(env),
    },
  );
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const exited = exitOf(child);
  const [address, httpAddress] = await new Promise<[string, string]>((resolve, reject) => {
    let stdout = "";
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
      if (!stdout.includes("Its data is in")) return;
      const [, grpc = ""] = /listens on (\S+)/.exec(stdout) ?? [];
      const [, http = ""] = /find it at https?:\/\/(\S+)/.exec(stdout) ?? [];
      resolve([grpc, http]);
    });
    exited.then((how) => reject(new Error(`serve ended with ${how} before it listened: ${stderr}`)), reject);
  });
  const pid = child.pid as number;
  return {
    address,
    httpAddress,
    pid,
    dataDir,
    stderr: () => stderr,
    problems: () => stderr.split("\n").filter((line) => line !== "" && !line.startsWith('{"level":"info"')),
    residentBytes: () => residentBytes(pid),
    signal: (signal) => void child.kill(signal),
    exited,
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Resolves when a process has ended, with its exit code or the signal that ended it. */
export function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve(code ?? (signal as NodeJS.Signals)));
  });
}

function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1024;
}
