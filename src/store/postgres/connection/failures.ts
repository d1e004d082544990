import { DatabaseError } from "pg";
import { ChatError, ErrorReason } from "../../../model/errors.ts";
import type { StoreEnding } from "../../ports/health.ts";

const busyRetryMs = 1000;

/** The SQLSTATEs that `functions.ts` raises. */
const endings: ReadonlyMap<string | undefined, StoreEnding> = new Map([
  ["PL001", "replaced"],
  ["PL002", "outdated"],
]);

/** The meaning of a failure of the database. */
export interface Failure {
  error: ChatError;
  /** Whether nothing can have happened, so that the same may be done again at once. */
  retry: boolean;
}

/**
 * Tells failures of the database and of the way to it from errors of one
 * statement: for these it returns undefined. Everything that is no answer of
 * the server is such a failure.
 */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof ChatError) return undefined;
  if (!(error instanceof DatabaseError)) return { error: unavailable(lost, describe(error)), retry: false };
  const code = error.code ?? "";
  const cause = describe(error);
  if (code === "53100") {
    const full = new ChatError(ErrorReason.STORAGE_FULL, "the server has no space left to store this", {
      cause,
    });
    return { error: full, retry: false };
  }
  // Serialization failures and deadlocks; lock_not_available; a race for the same client message id.
  if (code.startsWith("40") || code === "55P03" || isRace(error)) {
    return { error: unavailable("the store is busy; try again", cause), retry: true };
  }
  // Connections; resources; interventions of operators and timeouts; the system; corrupted data; read-only.
  const isFailure = ["08", "53", "57", "58", "XX"].includes(code.slice(0, 2)) || code === "25006";
  return isFailure || code === "25P03" ? { error: unavailable(lost, cause), retry: false } : undefined;
}

const lost = "the store does not answer; try again";

/** Tells whether the server says that this process cannot go on with the store, and why. */
export function endingOf(error: unknown): StoreEnding | undefined {
  return error instanceof DatabaseError ? endings.get(error.code) : undefined;
}

/** Whether the connection is not to be used again: the server did not answer, or said that it ends. */
export function isBroken(error: unknown): boolean {
  if (error instanceof ChatError) return false;
  return !(error instanceof DatabaseError) || error.severity !== "ERROR" || error.code === "25006";
}

/** Makes the error for a store that cannot serve now. */
export function unavailable(message: string, cause?: unknown): ChatError {
  return new ChatError(ErrorReason.STORE_UNAVAILABLE, message, {
    retryAfterMs: busyRetryMs,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Says that an id cannot be one. */
export function nulInId(cause?: unknown): ChatError {
  return new ChatError(ErrorReason.INVALID_REQUEST, "an id must not contain the character NUL", { cause });
}

/** Another process inserted the same at the same time; what it inserted is visible now. */
function isRace(error: DatabaseError): boolean {
  return (
    error.code === "23505" &&
    (error.constraint === "events_by_client_message_id" || error.constraint === "groups_group_id_key")
  );
}

function describe(error: unknown): Error {
  const { code, message } = error as { code?: string; message: string };
  return new Error(`PostgreSQL${code === undefined ? "" : ` ${code}`}: ${message}`, { cause: error });
}
