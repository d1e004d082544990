import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FaultContext, type Mode } from "./context.ts";
import type { Fault, Row } from "./fault.ts";

/** How faults are run. */
export interface RunOptions {
  mode: Mode;
  seed: number;
  /** Whether histories of runs that broke a rule are kept. */
  keep: boolean;
  /** How long everything may take to arrive once a storm is over, in milliseconds. (Default: what the fault says) */
  settleMs?: number | undefined;
}

/** The longest a fault may take, in milliseconds. */
const limitMs: Readonly<Record<Mode, number>> = { ci: 300_000, full: 900_000 };
const maxBroken = 20;

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

/** Runs one fault in this process. Never rejects. */
export async function runFault(fault: Fault, { mode, seed, keep, settleMs }: RunOptions): Promise<Row> {
  const { name, id, title } = fault;
  const startMs = performance.now();
  const row = { name, id, title, rounds: 0, violations: 0, figure: "", seed, broken: [] };
  const seconds = () => Math.round((performance.now() - startMs) / 100) / 10;
  const skipped = fault.missing?.();
  if (skipped !== undefined) return { ...row, seconds: 0, skipped };

  const keepIn = keep ? join("faults-histories", `${name}-${seed}`) : undefined;
  const context = new FaultContext(name, mode, seed, keepIn, settleMs);
  try {
    const { rounds, violations, figure } = await fault.run(context);
    // Of each rule, so that many of one do not hide another.
    const firsts = violations.filter(
      ({ rule }, n) => violations.findIndex((each) => each.rule === rule) === n,
    );
    const broken = [...new Set([...firsts, ...violations])].slice(0, maxBroken);
    return { ...row, rounds, violations: violations.length, figure, seconds: seconds(), broken };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { ...row, violations: 1, seconds: seconds(), broken: [{ rule: "run", text }] };
  } finally {
    await context.close();
  }
}

/**
 * Runs one fault in a process of its own, which is ended with all it started
 * when it takes too long, so that no fault disturbs the next. Never rejects.
 */
export async function runFaultApart(fault: Fault, { mode, seed, keep }: RunOptions): Promise<Row> {
  const scratch = mkdtempSync(join(tmpdir(), "parlance-fault-"));
  // PostgreSQL does not run as root, and has to get into it.
  chmodSync(scratch, 0o755);
  const args = ["one", fault.name, "--mode", mode, "--seed", String(seed), ...(keep ? ["--keep"] : [])];
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TMPDIR: scratch },
    // A group of its own, to be ended as a whole.
    detached: true,
  });
  const endAll = () => {
    try {
      process.kill(-(child.pid as number), "SIGKILL");
    } catch {
      // Nobody is left of the group.
    }
  };
  process.once("exit", endAll);
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    endAll();
  }, limitMs[mode]);
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  await new Promise((resolve) => child.once("close", resolve));
  clearTimeout(limit);
  endAll();
  process.off("exit", endAll);
  rmSync(scratch, { recursive: true, force: true });
  if (!late && output !== "") return JSON.parse(output) as Row;
  const { name, id, title } = fault;
  const text = late ? `did not end within ${limitMs[mode] / 1000} s` : "its process ended without a report";
  return {
    ...{ name, id, title, rounds: 0, violations: 1, figure: "", seconds: limitMs[mode] / 1000, seed },
    broken: [{ rule: "run", text }],
  };
}
