import { groupConversationId } from "../../../wire/ids.ts";
import { type Findings, nameOf } from "./findings.ts";
import type { LogIndex } from "./log-index.ts";
import { type Attempt, conversationOf, isSend, type SendAttempt } from "./operations.ts";

/** I1 Durable: whatever was answered is in the log, as the answer says. */
export function checkDurable(attempts: readonly Attempt[], log: LogIndex, findings: Findings): void {
  const changes = new ChangeCounts(log);
  for (const attempt of attempts) {
    if (attempt.result === undefined || !attempt.current) continue;
    if (isSend(attempt)) checkSent(attempt, log, findings);
    else changes.check(attempt, findings);
  }
}

function checkSent(attempt: SendAttempt, log: LogIndex, findings: Findings): void {
  const { userId, operation, result, answered } = attempt;
  const { clientMessageId, body } = operation;
  const conversationId = conversationOf(attempt);
  const named = `${answered}: the message ${clientMessageId} was answered`;
  const stored =
    result?.seq === undefined ? log.sent(userId, clientMessageId) : log.at(conversationId, result.seq);
  if (stored === undefined) {
    const place = result?.seq === undefined ? "" : ` as ${conversationId} seq ${result.seq}`;
    findings.add("I1", `${named}${place} and is not in the log`);
    return;
  }
  const wanted = {
    conversationId: result?.conversationId ?? conversationId,
    position: result?.position ?? stored.position,
    messageId: result?.messageId ?? stored.messageId,
    senderId: userId,
    clientMessageId,
    body,
  };
  for (const [field, value] of Object.entries({ ...wanted })) {
    const found = stored[field as keyof typeof wanted];
    if (found === value) continue;
    findings.add("I1", `${named} with ${field} ${value}; ${nameOf(stored)} has ${found}`);
    return;
  }
}

/** Counts who made whom a member, or ended a membership, by the log and by the answers. */
class ChangeCounts {
  readonly #log: LogIndex;
  /** By group, change and member. */
  readonly #logged = new Map<string, number>();
  /** By group, change, member and who made it. */
  readonly #loggedBy = new Map<string, number>();
  readonly #answeredBy = new Map<string, number>();

  constructor(log: LogIndex) {
    this.#log = log;
    for (const { conversationId, senderId, change } of log.events) {
      for (const { userId } of change?.members ?? []) {
        const key = keyOf(conversationId, change?.type as string, userId);
        count(this.#logged, key);
        count(this.#loggedBy, keyOf(key, senderId));
      }
    }
  }

  /** Finds what answers say of groups and the log does not. */
  check({ userId, operation, answered, repeated }: Attempt, findings: Findings): void {
    if (operation.f === "send") return;
    const conversationId = groupConversationId(operation.groupId);
    const type = operation.f === "leave" || operation.f === "remove" ? "left" : "joined";
    // A repeat may have found what somebody else did meanwhile, and adding a member does nothing.
    const exact = !repeated && (type === "left" || operation.f === "join");
    const named = `${answered}: ${operation.f} of ${operation.groupId} was answered`;
    if (this.#log.at(conversationId, 1) === undefined) {
      findings.add("I1", `${named} and the group is not in the log`);
      return;
    }
    for (const memberId of this.#membersOf(operation, userId, conversationId)) {
      const key = keyOf(conversationId, type, memberId);
      const keyBy = keyOf(key, userId);
      const answers = exact ? count(this.#answeredBy, keyBy) : 0;
      const logged = this.#loggedBy.get(keyBy) ?? 0;
      if (!this.#logged.has(key)) findings.add("I1", `${named} and the log has not that ${memberId} ${type}`);
      else if (answers > logged)
        findings.add(
          "I1",
          `${named} for the ${answers}. time, the log has ${logged} times that ${memberId} ${type}`,
        );
    }
  }

  #membersOf(
    operation: Exclude<Attempt["operation"], { f: "send" }>,
    userId: string,
    conversationId: string,
  ): Iterable<string> {
    switch (operation.f) {
      case "join":
      case "leave":
        return [userId];
      case "add":
      case "remove":
        return new Set(operation.userIds);
      case "create-group": {
        const isOwn = this.#log.at(conversationId, 1)?.senderId === userId;
        return isOwn ? new Set([userId, ...operation.memberIds]) : [];
      }
    }
  }
}

function keyOf(...parts: string[]): string {
  return parts.join("\0");
}

function count(counts: Map<string, number>, key: string): number {
  const next = (counts.get(key) ?? 0) + 1;
  counts.set(key, next);
  return next;
}
