import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from "pino";
import type { LoggedCalls } from "../model/logger.ts";
import { redact } from "./redact.ts";

export type { Logger };

/** The settings of a logger. */
export interface LoggerSettings {
  /** The lowest level of lines that are written, one of pino's. */
  logLevel: string;
  logCalls?: LoggedCalls;
}

/**
 * Makes the process's logger: JSON, one object a line. It writes to the
 * standard error output, so that what a command prints stays apart from it.
 *
 * Log ids, sizes and times; never a message's content, never a token. Should a
 * secret slip into a logged object under its usual key, it is replaced (fields
 * of child loggers are not looked at).
 *
 * Lines are written in the background and at the latest when the process
 * exits. When nobody takes them, at most 4 MiB wait and further ones are
 * dropped: a blocked log stops no message.
 *
 * @param to where lines go, for tests
 */
export function createLogger(
  config: LoggerSettings,
  to: DestinationStream = destination({ fd: 2, sync: false, maxLength: 4_194_304 }),
): Logger & { calls?: LoggedCalls } {
  const logger = pino(
    {
      level: config.logLevel,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redact },
    },
    to,
  );
  // Child loggers have it, too: they inherit from theirs.
  return Object.assign(logger, config.logCalls && { calls: config.logCalls });
}

/** Returns a logger whose `info` lines are seen at the level `warn`, too: for what operators look for first. */
export function landmarks(log: Logger): Logger {
  return log.isLevelEnabled("warn") && !log.isLevelEnabled("info") ? log.child({}, { level: "info" }) : log;
}
