import { type Findings, nameOf } from "./findings.ts";
import type { LogIndex } from "./log-index.ts";
import { type Attempt, isSend, type Result } from "./operations.ts";

/**
 * I8 OneEffect: one message is stored for a sender's `clientMessageId`, all
 * answers name the same one, and all but at most one say that they are repeats.
 */
export function checkOneEffect(attempts: readonly Attempt[], log: LogIndex, findings: Findings): void {
  for (const event of log.events) {
    if (!event.clientMessageId) continue;
    const first = log.sent(event.senderId, event.clientMessageId);
    if (first !== undefined && first !== event)
      findings.add(
        "I8",
        `${nameOf(event)} is the message ${event.clientMessageId} of ${event.senderId} again, after ${nameOf(first)}`,
      );
  }

  const answers = new Map<string, { where: string; result: Result; effects: number }>();
  for (const attempt of attempts) {
    const { result, answered, userId, current } = attempt;
    if (!isSend(attempt) || result === undefined || !current) continue;
    const { clientMessageId } = attempt.operation;
    const effect = result.duplicate === false ? 1 : 0;
    const key = `${userId}\0${clientMessageId}`;
    const first = answers.get(key);
    if (first === undefined) {
      answers.set(key, { where: answered, result, effects: effect });
      continue;
    }
    const named = `${answered} and ${first.where}: the message ${clientMessageId}`;
    if (placeOf(result) !== placeOf(first.result))
      findings.add("I8", `${named} is at ${placeOf(result)} and at ${placeOf(first.result)}`);
    first.effects += effect;
    if (effect === 1 && first.effects === 2) findings.add("I8", `${named} was new more than once`);
  }
}

function placeOf({ conversationId, seq, position, messageId }: Result): string {
  return `${conversationId} seq ${seq} (position ${position}, id ${messageId})`;
}
