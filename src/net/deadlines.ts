import { ChatError, ErrorReason } from "../model/errors.ts";
import { toStatus } from "./errors.ts";
import { IdTable } from "./id-table.ts";

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
 * Lets every call take equally long. Their ids are numbers that rise: they are
 * due in the order in which they came, so one timer for the oldest does for all.
 */
export function createDeadlines<Call extends { readonly id: string }>(
  deadlineMs: number,
  expire: (call: Call) => void,
): Deadlines<Call> {
  const calls = new IdTable<{ call: Call; dueMs: number }>();
  let timer: NodeJS.Timeout | undefined;

  function arm(delayMs: number): void {
    timer = setTimeout(check, delayMs).unref();
  }

  function check(): void {
    timer = undefined;
    const nowMs = performance.now();
    for (const id of calls.ids()) {
      const entry = calls.get(id);
      if (entry === undefined) continue;
      if (entry.dueMs > nowMs) {
        arm(entry.dueMs - nowMs);
        return;
      }
      calls.delete(id);
      expire(entry.call);
    }
  }

  return {
    add(call) {
      calls.set(Number(call.id), { call, dueMs: performance.now() + deadlineMs });
      if (timer === undefined) arm(deadlineMs);
    },
    delete(call) {
      calls.delete(Number(call.id));
    },
  };
}
