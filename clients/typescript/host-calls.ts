import { ParlanceError, Status } from "./errors.ts";

/**
 * Calls a function of the application, which may be asynchronous though
 * nobody waits for it, and tells what it threw or rejected with.
 */
export function callHost(call: () => unknown, onFailed: (cause: unknown) => void): void {
  try {
    const result = call();
    if (isPromiseLike(result)) Promise.resolve(result).catch(onFailed);
  } catch (cause) {
    onFailed(cause);
  }
}

/** Tells whether a function that was called goes on. */
export function isPromiseLike(result: unknown): result is PromiseLike<unknown> {
  return typeof (result as PromiseLike<unknown> | undefined | null)?.then === "function";
}

/** Makes the error for a function of the application that failed, with what it threw as its cause. */
export function hostFailed(name: string, cause: unknown): ParlanceError {
  const message = cause instanceof Error ? `: ${cause.message}` : "";
  return new ParlanceError(Status.UNKNOWN, `${name} failed${message}`, { cause });
}
