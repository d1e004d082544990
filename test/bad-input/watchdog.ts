/**
 * Loaded into a server's process with `--import`: ends it when it takes too
 * much memory or does not come to its timers for long, and says which.
 */

import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

const maxResidentBytes = 700_000_000;
const maxDelayMs = 3_000;

// Workers load it as well.
if (isMainThread) {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  setInterval(() => {
    const residentBytes = process.memoryUsage.rss();
    if (residentBytes > maxResidentBytes) bark(`${residentBytes} bytes resident`);
    if (delay.max / 1e6 > maxDelayMs) bark(`the event loop stood still for ${delay.max / 1e6} ms`);
  }, 50).unref();
}

function bark(what: string): never {
  process.stderr.write(`watchdog: ${what}\n`);
  process.exit(70);
}
