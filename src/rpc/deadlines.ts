import { ChatError, ErrorReason } from "../errors.ts";
import { toStatus } from "./errors.ts";

/** How a call ends that took longer than its client or the server allows. */
export const deadlineExceeded = toStatus(
  new ChatError(ErrorReason.DEADLINE_TOO_LONG, "the call did not finish within its deadline"),
  () => {},
);

/** Calls that may take equally long. */
export interface Deadlines<Call> {
  add(call: Call): void;
  delete(call: Call): void;
}

/**
 * Lets every call take equally long. They are due in the order in which they
 * came, so one timer for the oldest does for all.
 */
export function createDeadlines<Call>(deadlineMs: number, expire: (call: Call) => void): Deadlines<Call> {
  const dueMs = new Map<Call, number>();
  let timer: NodeJS.Timeout | undefined;

  function arm(delayMs: number): void {
    timer = setTimeout(check, delayMs).unref();
  }

  function check(): void {
    timer = undefined;
    const nowMs = performance.now();
    for (const [call, due] of dueMs) {
      if (due > nowMs) {
        arm(due - nowMs);
        return;
      }
      dueMs.delete(call);
      expire(call);
    }
  }

  return {
    add(call) {
      dueMs.set(call, performance.now() + deadlineMs);
      if (timer === undefined) arm(deadlineMs);
    },
    delete(call) {
      dueMs.delete(call);
    },
  };
}
