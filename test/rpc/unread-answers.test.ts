import { expect, test } from "vitest";
import { ErrorReason } from "../../src/model/errors.ts";
import { UnreadAnswers } from "../../src/rpc/unread-answers.ts";

/** Calls with 600 unread bytes each, of which 1,000 are allowed. */
function createUnread() {
  const unread = new UnreadAnswers(1_000);
  const closers: (() => void)[] = [];
  const answer = (userId: string, connection?: string) =>
    unread.add({ userId, connection }, { unreadBytes: 600, onClosed: (closed) => void closers.push(closed) });
  const refused = (userId: string, connection?: string) => {
    try {
      unread.check({ userId, connection });
      return undefined;
    } catch (error) {
      return error;
    }
  };
  const closeAll = () => {
    for (const close of closers) close();
  };
  return { unread, answer, refused, closeAll };
}

const tooMuch = (subject: string) => ({
  reason: ErrorReason.UNREAD_ANSWERS,
  details: { quota: { subject, description: "maxUnreadBytes: 1000" } },
});

test("a user who leaves too much unread, over whatever connections, is refused, others are not", () => {
  const { unread, answer, refused, closeAll } = createUnread();
  answer("alice", "192.0.2.1:1");
  expect(refused("alice", "192.0.2.1:1")).toBeUndefined();
  answer("alice", "192.0.2.1:2");
  expect(refused("alice", "192.0.2.1:3")).toMatchObject(tooMuch("user"));
  expect(refused("alice")).toMatchObject(tooMuch("user"));
  expect(refused("bob", "192.0.2.1:3")).toBeUndefined();
  closeAll();
  expect(refused("alice", "192.0.2.1:3")).toBeUndefined();
  expect(unread.size).toBe(0);
});

test("a connection on which too much is unread, for whatever users, is refused, others are not", () => {
  const { unread, answer, refused, closeAll } = createUnread();
  answer("alice", "192.0.2.1:1");
  answer("bob", "192.0.2.1:1");
  expect(refused("carol", "192.0.2.1:1")).toMatchObject(tooMuch("connection"));
  expect(refused("alice", "192.0.2.1:2")).toBeUndefined();
  closeAll();
  expect(refused("carol", "192.0.2.1:1")).toBeUndefined();
  expect(unread.size).toBe(0);
});
