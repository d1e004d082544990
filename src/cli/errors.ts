/**
 * How commands fail: one line on the standard error output that says what is
 * wrong and the way out; exit code 1, or 2 when the command line or the
 * configuration is wrong.
 */

import { ConfigError, visibleSecrets } from "../config/config.ts";

/** Ends a command. Its message is shown to people as it is. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number;

  constructor(message: string, exitCode: number, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}

/** Ends the command: it cannot do what was asked. */
export function fail(message: string, wayOut: string, cause?: unknown): never {
  throw new CommandError(`${message}; ${wayOut}`, 1, cause);
}

/** Ends the command: it was not called as it should be. */
export function failUsage(message: string, wayOut: string): never {
  throw new CommandError(`${message}; ${wayOut}`, 2);
}

/** Says on the standard error output which of a command's settings are secrets that other users can read. */
export function warnOfVisibleSecrets(
  options: Record<string, unknown>,
  names: Record<string, string> = {},
): void {
  for (const { option, message } of visibleSecrets(options))
    process.stderr.write(`parlance: warning: ${message.replace(option, names[option] ?? option)}\n`);
}

/** Prints why a command failed and returns its exit code. What nobody foresaw is printed with its stack. */
export function report(error: unknown): number {
  const known = error instanceof CommandError || error instanceof ConfigError || isOfParser(error);
  if (!known) {
    process.stderr.write(
      `parlance: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return 1;
  }
  const wayOut = isOfParser(error) ? "; the command's --help lists what it takes" : "";
  process.stderr.write(`parlance: ${error.message.replace(/\s*\n\s*/g, " ")}${wayOut}\n`);
  return error instanceof CommandError ? error.exitCode : 2;
}

/** Tells whether an error is citty's own, for a missing or impossible argument. */
function isOfParser(error: unknown): error is Error {
  return error instanceof Error && error.name === "CLIError";
}
