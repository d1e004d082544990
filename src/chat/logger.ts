/** What the chat logs to; pino fits. Message bodies and tokens are never logged. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
