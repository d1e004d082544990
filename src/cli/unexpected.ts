import { failureFacts } from "../telemetry/failure-facts.ts";
import type { Logger } from "../telemetry/logger.ts";

/** The exit code of a process in which something failed that nobody foresaw (EX_SOFTWARE of sysexits.h). */
export const unexpectedExitCode = 70;

/**
 * Watches for what was thrown or rejected and nobody caught. After that nothing
 * in the process can be relied on, so it has to leave: each such failure is one
 * line of the log, without any value that it was about, and the first aborts
 * the signal. A process that has not left by itself after `graceMs` is ended.
 */
export function watchUnexpected(log: Logger, graceMs: number): AbortSignal {
  const controller = new AbortController();
  // Rejections come here too, unless somebody listens for them.
  process.on("uncaughtException", (error, origin) => {
    log.error({ origin, ...failureFacts(error) }, "unexpected failure, stopping");
    if (controller.signal.aborted) return;
    setTimeout(() => process.exit(unexpectedExitCode), graceMs).unref();
    controller.abort();
  });
  return controller.signal;
}
