import { monitorEventLoopDelay } from "node:perf_hooks";
import type { RunningServer } from "../host/server.ts";
import type { Logger } from "../telemetry/logger.ts";

/** How often the delay of the event loop is measured. */
const resolutionMs = 50;

/**
 * Logs a line `status` at every SIGUSR2, whatever the log level: who is
 * connected, what memory is used, what is open, and for how long at most the
 * event loop was held up since the line before.
 */
export function logStatusOnSignal(server: Pick<RunningServer, "stats">, log: Logger): void {
  const always = log.child({}, { level: "info" });
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  process.on("SIGUSR2", () => {
    const status = {
      ...server.stats(),
      ...memory(),
      // What is measured is the time between two looks.
      eventLoopDelayMs: Math.max(0, Math.round(delay.max / 1e6 - resolutionMs)),
      activeHandles: process.getActiveResourcesInfo().length,
    };
    delay.reset();
    always.info(status, "status");
  });
}

/** The memory in use, if that can be told: reading it takes a file, and there may be none left. */
function memory(): object {
  try {
    const { rss, heapUsed, external } = process.memoryUsage();
    return { rssBytes: rss, heapUsedBytes: heapUsed, externalBytes: external };
  } catch (err) {
    return { err };
  }
}
