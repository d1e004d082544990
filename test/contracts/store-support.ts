import { expect } from "vitest";
import { type Draft, type GroupSettings, JoinPolicy, type SeqRange } from "../../src/model/records.ts";
import type { Store } from "../../src/store/store.ts";
import { groupConversationId } from "../../wire/ids.ts";
import { groupChanges } from "../support/group-changes.ts";

let made = 0;

/** Makes an id no other test has. */
export function unique(prefix: string): string {
  return `${prefix}-${Date.now().toString(36)}-${++made}`;
}

/** Settings of an OPEN group with hidden history, and what is to differ. */
export function settings(change: Partial<GroupSettings> = {}): GroupSettings {
  return {
    name: "a group",
    joinPolicy: JoinPolicy.OPEN,
    historyForNewMembers: false,
    muted: false,
    memberLimit: 1000,
    attributes: {},
    ...change,
  };
}

/** A body that says a text. */
export function bodyOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A message of one user to another. */
export function toUser(senderId: string, recipientId: string, change: Partial<Draft> = {}): Draft {
  const conversationId = `d:${[senderId, recipientId].sort().join(":")}`;
  return { conversationId, senderId, recipientId, clientMessageId: "", body: bodyOf("hello"), ...change };
}

/** A message to a group. */
export function toGroup(senderId: string, groupId: string, change: Partial<Draft> = {}): Draft {
  const conversationId = groupConversationId(groupId);
  return { conversationId, senderId, groupId, clientMessageId: "", body: bodyOf("hello"), ...change };
}

/** All events of a conversation, and what is to differ. */
export function range(change: Partial<SeqRange> = {}): SeqRange {
  return { afterSeq: 0, beforeSeq: 1e9, limit: 1e6, fromEnd: false, messagesOnly: false, ...change };
}

/** Expects a refusal with a reason, and returns it. */
export async function refused(promise: Promise<unknown>, reason: number): Promise<Error> {
  const error = await promise.then(
    (value) => expect.fail(`not refused but answered ${JSON.stringify(value)}`),
    (rejected: unknown) => rejected,
  );
  expect(error).toMatchObject({ name: "ChatError", reason });
  return error as Error;
}

/** Makes a group with an owner `o`, an admin `a`, a member `m` and a reader `r`, all with ids of their own. */
export async function createStaffedGroup(store: Store, change: Partial<GroupSettings> = {}) {
  const groupId = unique("group");
  const [o, a, m, r, x] = ["o", "a", "m", "r", "x"].map(unique) as [string, string, string, string, string];
  await groupChanges(store).createGroup(groupId, o, settings(change), [a, m, r]);
  await groupChanges(store).updateMember(groupId, o, a, { role: 2 });
  await groupChanges(store).updateMember(groupId, o, r, { role: 4 });
  /** `x` is no member. */
  return { groupId, conversationId: groupConversationId(groupId), o, a, m, r, x };
}
