/** What all clients of the harness have in common. */

import type { History, Operation, SeenError } from "../history.ts";

/** One device of one user: it keeps a stream open through every fault, and carries out operations to a definite end. */
export interface ChatClient {
  readonly history: History;
  readonly userId: string;
  /** Logs in and opens the stream; resolves once it is open. */
  start: () => Promise<void>;
  /** Tries an operation until it was answered, with the outcome in the history, and tells whether it was carried out. */
  perform: (operation: Operation) => Promise<boolean>;
  /** Whether it has received a message with this body. */
  has: (body: string) => boolean;
  /** Whether its stream is open. */
  readonly live: boolean;
  /** How often the stream was opened again. */
  readonly reconnects: number;
  /** Ends the stream and everything else. Operations under way are left as they are. */
  close: () => Promise<void>;
}

/** Codes with which a call ends whose effect nobody knows, or which is worth repeating. */
const openCodes = new Set([
  "UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "CANCELLED",
  "RESOURCE_EXHAUSTED",
  "INTERNAL",
  "UNKNOWN",
  "ABORTED",
]);

/**
 * Tells whether an operation has to be tried again. What refuses it after a try
 * that had no answer may be that try's own effect, as that one is a member
 * already: the history then has an `unknown` before the `fail`.
 */
export function isOpen({ code, reason }: SeenError): boolean {
  return openCodes.has(code) && reason !== "GROUP_FULL";
}
