/** What a process uses, whatever it is written in: from /proc (proc(5)). */

import { readdirSync, readFileSync } from "node:fs";

/**
 * Returns how much CPU time the threads of a process have used, in
 * microseconds. Exact to less than one, where the kernel's accounting in ticks
 * is exact to 10,000. Threads that have ended do not count.
 */
export function cpuUs(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ", 1)[0]);
  }
  return nanoseconds / 1000;
}

/** Returns how much memory a process has resident, in bytes. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
