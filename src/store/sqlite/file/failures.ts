import { ChatError, ErrorReason } from "../../../model/errors.ts";

const busyRetryMs = 1000;

/** Primary result codes of SQLite, https://sqlite.org/rescode.html. */
const code = {
  busy: 5,
  locked: 6,
  nomem: 7,
  readonly: 8,
  ioerr: 10,
  corrupt: 11,
  full: 13,
  cantopen: 14,
  protocol: 15,
  notadb: 26,
};

/** The meaning of a failure of the database. */
export interface Failure {
  error: ChatError;
  /** Whether the connection is not to be used again. */
  reopen: boolean;
}

/**
 * Tells failures of the database, which fail the whole batch, from errors of
 * one statement: for these it returns undefined.
 */
export function failureOf(error: unknown): Failure | undefined {
  const errcode = (error as { errcode?: unknown } | null)?.errcode;
  if (typeof errcode !== "number") return undefined;
  const described = `SQLite ${errcode}: ${(error as Error).message}`;
  const cause = new Error(described, { cause: error });
  switch (errcode & 0xff) {
    case code.full:
      return {
        error: new ChatError(ErrorReason.STORAGE_FULL, "the server has no space left to store this", {
          cause,
        }),
        reopen: false,
      };
    case code.busy:
    case code.locked:
    case code.protocol:
      return { error: unavailable("the store is busy; try again", cause), reopen: false };
    case code.readonly:
      return {
        error: unavailable("the server may not write to its data, so nothing can be stored", cause),
        reopen: true,
      };
    case code.nomem:
    case code.ioerr:
    case code.corrupt:
    case code.cantopen:
    case code.notadb:
      return { error: unavailable("the store does not answer; try again", cause), reopen: true };
    default:
      return undefined;
  }
}

/** Makes the error for a store that cannot serve now. */
export function unavailable(message: string, cause?: unknown): ChatError {
  return new ChatError(ErrorReason.STORE_UNAVAILABLE, message, {
    retryAfterMs: busyRetryMs,
    ...(cause === undefined ? {} : { cause }),
  });
}
