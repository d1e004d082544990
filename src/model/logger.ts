/**
 * Which calls are logged: `failed` leaves out those that went well and those
 * that their caller gave up. One that failed as nobody foresaw is logged always.
 */
export type LoggedCalls = "all" | "failed" | "none";

/** The log that the chat writes to; pino fits. Message bodies and tokens are never logged. */
export interface Logger {
  /** Which calls get a line of their own. Default `failed`. */
  readonly calls?: LoggedCalls;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
