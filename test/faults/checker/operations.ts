import { directConversationId, groupConversationId } from "../../../wire/ids.ts";
import type { Entry, History, Operation } from "../history.ts";
import { lineOf } from "./findings.ts";

/** What a client was told of an operation that was carried out. */
export type Result = Extract<Entry, { type: "ok" }>;

/** An operation from the moment its client asked for it to its end. */
export interface Attempt {
  userId: string;
  operation: Operation;
  /** Where it was asked for. */
  asked: string;
  /** Where it was answered. */
  answered: string;
  /** What it was answered with; undefined when it was refused or not answered. */
  result: Result | undefined;
  /** Whether it was answered by the store that the dump is of, as opposed to one that a backup has replaced. */
  current: boolean;
  /** Whether it certainly had no effect: it was refused, and no try before had an open outcome. */
  refused: boolean;
  /** Whether a try before its end had an open outcome. */
  repeated: boolean;
}

/**
 * Returns all operations of a client, in the order they were asked for.
 *
 * @param from the first entry that the dump's store has to do with
 */
export function attemptsOf(history: History, from: number): Attempt[] {
  const attempts = new Map<number, Attempt>();
  history.entries.forEach((entry, index) => {
    if (entry.type === "invoke") {
      attempts.set(entry.op, {
        userId: history.userId,
        operation: entry.operation,
        asked: lineOf(history, index),
        answered: "",
        result: undefined,
        current: false,
        refused: false,
        repeated: false,
      });
      return;
    }
    if (entry.type !== "ok" && entry.type !== "fail" && entry.type !== "unknown") return;
    const attempt = attempts.get(entry.op);
    if (attempt === undefined) return;
    attempt.answered = lineOf(history, index);
    attempt.current = index >= from;
    if (entry.type === "unknown") attempt.repeated = true;
    else if (entry.type === "fail") attempt.refused = !attempt.repeated;
    else attempt.result = entry;
  });
  return [...attempts.values()];
}

/** An attempt to send. */
export type SendAttempt = Attempt & { operation: Extract<Operation, { f: "send" }> };

/** Tells whether it was a send that was attempted. */
export function isSend(attempt: Attempt): attempt is SendAttempt {
  return attempt.operation.f === "send";
}

/** Returns the conversation that a message is for. */
export function conversationOf({ userId, operation: { to } }: SendAttempt): string {
  return "groupId" in to ? groupConversationId(to.groupId) : directConversationId(userId, to.recipientId);
}
