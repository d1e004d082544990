/** What users do, what they are answered, and what they are shown: the words that model and service share. */

import { isDeepStrictEqual } from "node:util";
import type { Rule } from "../checker/violation.ts";

/** Where a message is sent to. */
export type Target = { recipientId: string } | { groupId: string };

/** A message to send. */
export interface Send {
  do: "send";
  by: string;
  to: Target;
  clientMessageId: string;
  body: string;
}

/** A change of a group. */
export type Change =
  | { do: "create"; by: string; groupId: string; memberIds: string[]; open: boolean; history: boolean }
  | { do: "join" | "leave" | "disband"; by: string; groupId: string }
  | { do: "add" | "remove"; by: string; groupId: string; userIds: string[] };

/** Something a user asks for. */
export type Operation =
  | Send
  | Change
  | { do: "mark-read"; by: string; conversationId: string; upToSeq: number };

/** The answer to a send. */
export interface Sent {
  conversationId: string;
  seq: number;
  position: number;
  messageId: string;
  duplicate: boolean;
}

/** The answer to an operation. */
export type Answer =
  | { refused: string }
  | { sent: Sent }
  | { conversation: ConversationView }
  | { done: true };

/** A conversation in a user's list. */
export interface ConversationView {
  conversationId: string;
  lastSeq: number;
  readSeq: number;
  unreadCount: number;
  /** The seq of the last message the user may read. */
  lastMessageSeq: number | undefined;
}

/** A message in a conversation's history. */
export interface MessageView {
  seq: number;
  senderId: string;
  clientMessageId: string;
  body: string;
  messageId: string;
}

/** A member in a group's list. */
export interface MemberView {
  userId: string;
  owner: boolean;
  visibleFromSeq: number;
}

/** A group in a user's list. */
export interface GroupView {
  groupId: string;
  ownerId: string;
  memberCount: number;
}

/** A group's or a direct conversation's messages, page by page. */
export interface Reading {
  by: string;
  of: Target;
  pageSize: number;
  /** Whether to begin at the end. */
  backwards: boolean;
}

/** The service did something other than the model. */
export class Mismatch extends Error {
  override readonly name = "Mismatch";
  readonly rule: Rule;

  constructor(rule: Rule, message: string) {
    super(message);
    this.rule = rule;
  }
}

/** Compares what the service does with what the model says. @throws Mismatch */
export function expectSame(rule: Rule, what: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Mismatch(rule, `${what}: got ${brief(actual)}, expected ${brief(expected)}`);
}

const maxBodyShown = 40;

/** Writes a value in one line, without long bodies. */
export function brief(value: unknown): string {
  return (
    JSON.stringify(value, (_, part) =>
      typeof part === "string" && part.length > maxBodyShown
        ? `${part.slice(0, maxBodyShown)}… (${part.length})`
        : part,
    ) ?? "nothing"
  );
}
