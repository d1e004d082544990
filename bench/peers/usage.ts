import { readdirSync, readFileSync } from "node:fs";
import { cpuUs, residentBytes } from "../lib/process-usage.ts";

/** What processes use. */
export interface Usage {
  cpuUs: number;
  residentBytes: number;
}

/**
 * Adds up what processes and all that descend from them use. Memory that
 * processes share, as PostgreSQL's do, is counted for each: differences are
 * what to look at.
 */
export function usageOf(pids: readonly number[]): Usage {
  const usage = { cpuUs: 0, residentBytes: 0 };
  for (const pid of pids.flatMap(withDescendants)) {
    usage.cpuUs += cpuUs(pid);
    usage.residentBytes += residentBytes(pid);
  }
  return usage;
}

function withDescendants(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(withDescendants)];
}
