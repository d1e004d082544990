/** Rows in a file of SQLite, inserted by a process that the shim harms. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { exitOf } from "../../support/serve-child.ts";
import { createIoShim, type IoShim } from "./io-shim.ts";

const script = fileURLToPath(new URL("insert-rows.ts", import.meta.url));

/** Makes an empty folder and a shim for it, both gone after the test. */
export function makeShim(seed = 1) {
  const dir = mkdtempSync(join(tmpdir(), "parlance-files-"));
  const shim = createIoShim({ dir, seed, keepDurable: true });
  onTestFinished(() => {
    shim.close();
    rmSync(dir, { recursive: true });
  });
  return { shim, dir, path: join(dir, "rows.db") };
}

/** Starts a process that inserts rows, killed after the test. */
export async function startRows(path: string, shim: IoShim, synchronous = "FULL", checkpointPages = 50) {
  const child: ChildProcess = spawn(process.execPath, [script, path, synchronous, `${checkpointPages}`], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, NODE_OPTIONS: "", ...shim.env },
  });
  const exited = exitOf(child);
  let output = "";
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  child.stdin?.on("error", () => {});
  const outputEnded = new Promise((resolve) => child.stdout?.once("close", resolve));
  const lines = () => output.split("\n").slice(1, -1);
  const send = (...ids: number[]) => child.stdin?.write(`${ids.join("\n")}\n`);
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
    await outputEnded;
  };
  onTestFinished(kill);
  await eventually(() => output.startsWith("ready\n"));
  return {
    lines,
    send,
    async insert(id: number): Promise<string> {
      const before = lines().length;
      send(id);
      await eventually(() => lines().length > before);
      return lines()[before] as string;
    },
    end() {
      child.stdin?.end();
      return exited;
    },
    kill,
  };
}

/** Reads which rows there are. */
export function idsIn(path: string): number[] {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return database
      .prepare("SELECT id FROM rows ORDER BY id")
      .all()
      .map(({ id }) => Number(id));
  } finally {
    database.close();
  }
}

/** Returns "ok", or what is wrong with a file. */
export function integrityOf(path: string): unknown {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return database.prepare("PRAGMA integrity_check").get()?.integrity_check;
  } finally {
    database.close();
  }
}
