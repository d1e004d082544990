/** What tests of the NATS bus share. */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Bus } from "../../src/bus/bus.ts";
import { everyMessage } from "../contracts/bus.ts";
import { eventually } from "../support/eventually.ts";
import { exitOf } from "../support/serve-child.ts";

/** Waits until messages of one bus reach another, on every subject subscribed to so far. */
export async function untilHeard(from: Bus, to: Bus, timeoutMs?: number): Promise<void> {
  const leave = to.subscribe("heard", () => everyMessage.node);
  const options = { maxMs: 2_000, quietMs: 1 };
  await eventually(
    async () => (await from.request("heard", everyMessage.nodeQuery, options)).length > 0,
    timeoutMs,
  );
  leave();
}

/** Another node, as a process of its own: `peer.ts`. */
export interface Peer {
  pid: number;
  /** What it has written. */
  output: () => string;
  signal(signal: NodeJS.Signals): void;
  exited: Promise<number | NodeJS.Signals>;
}

/** Starts a peer and waits until it is connected. */
export async function startPeer(url: string): Promise<Peer> {
  const child = spawn(process.execPath, [fileURLToPath(new URL("./peer.ts", import.meta.url)), url], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  const exited = exitOf(child);
  await eventually(() => output.includes("ready"));
  return {
    pid: child.pid as number,
    output: () => output,
    signal: (signal) => void child.kill(signal),
    exited,
  };
}

/** A log for tests that do not look at it. */
export const silentLog = { info() {}, warn() {} };

/** Keeps what is logged, as lines of JSON. */
export function createKeptLog(): { info: Write; warn: Write; lines: string[]; has(text: string): boolean } {
  const lines: string[] = [];
  const write: Write = (fields, message) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return { info: write, warn: write, lines, has: (text) => lines.some((line) => line.includes(text)) };
}

type Write = (fields: object, message: string) => void;
