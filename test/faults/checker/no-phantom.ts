import { type Findings, nameOf } from "./findings.ts";
import type { LogIndex } from "./log-index.ts";
import type { MembershipTimeline } from "./membership-timeline.ts";
import { type Attempt, conversationOf, isSend, type SendAttempt } from "./operations.ts";

/**
 * I2 NoPhantom: every message of the log was sent by its sender, with that body
 * and to that conversation, and the sender was in it; and every change of who is
 * in a group changed it.
 *
 * A send that was refused had no effect, unless an earlier try of it had an
 * open outcome: then that try may have had one.
 */
export function checkNoPhantom(
  attempts: readonly Attempt[],
  log: LogIndex,
  timeline: MembershipTimeline,
  findings: Findings,
): void {
  const sends = new Map<string, SendAttempt[]>();
  for (const attempt of attempts) {
    if (!isSend(attempt)) continue;
    const key = `${attempt.userId}\0${attempt.operation.clientMessageId}`;
    const same = sends.get(key);
    if (same === undefined) sends.set(key, [attempt]);
    else same.push(attempt);
  }
  for (const event of log.events) {
    if (event.kind !== "message") continue;
    const named = `${nameOf(event)}, the message ${event.clientMessageId} of ${event.senderId},`;
    const asked = sends.get(`${event.senderId}\0${event.clientMessageId}`) ?? [];
    const meant = asked.filter(
      (attempt) => attempt.operation.body === event.body && conversationOf(attempt) === event.conversationId,
    );
    if (asked.length === 0) findings.add("I2", `${named} was never sent`);
    else if (meant.length === 0)
      findings.add("I2", `${named} was sent with another body or to somebody else: ${asked[0]?.asked}`);
    else if (meant.every(({ refused }) => refused))
      findings.add("I2", `${named} was refused: ${meant[0]?.answered}`);
  }
  for (const event of timeline.outsiders)
    findings.add("I2", `${nameOf(event)} is of ${event.senderId}, who was not a member then`);
  for (const event of timeline.emptyChanges) {
    const { type = "changed", members = [] } = event.change ?? {};
    const named = members.map(({ userId }) => userId).join(", ");
    findings.add("I2", `${nameOf(event)} says ${type} of somebody who already was: ${named}`);
  }
}
