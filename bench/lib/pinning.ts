import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";

/**
 * A server has two busy threads, the event loop and the store, and the load
 * generator has one. Only where there is a core for each are they kept apart;
 * elsewhere the system shares the cores better than a fixed division.
 */
const cores = availableParallelism();
const apart = cores >= 4;

/** What the command line of a server begins with, to run on all cores but the first. */
export const serverPinning: readonly string[] = apart ? ["taskset", "-c", `1-${cores - 1}`] : [];

/** Puts this process, the load generator, on the first core. */
export function pinLoad(): void {
  if (apart) execFileSync("taskset", ["-a", "-p", "-c", "0", String(process.pid)], { stdio: "ignore" });
}
