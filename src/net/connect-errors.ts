/**
 * Calls back with the error that the Connect library ends a call with, before it
 * writes it: the one place where all its errors pass. What is changed of the
 * error is written. The library aborts the call's signal with its error first,
 * which its documentation does not promise; a test tells when it stops.
 */
export function beforeErrorIsWritten(
  { signal }: { signal: AbortSignal },
  look: (error: unknown) => void,
): void {
  signal.addEventListener("abort", () => look(signal.reason));
}
