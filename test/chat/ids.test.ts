import fc from "fast-check";
import { validate, version } from "uuid";
import { expect, test } from "vitest";
import {
  compareBytes,
  directConversationId,
  groupConversationId,
  messageIdOf,
  parseConversationId,
  parseMessageId,
  peerOf,
  personalConversationId,
  writeMessageId,
} from "../../wire/ids.ts";
import { seed } from "../support/seed.ts";

/** Ids of users: any Unicode text, with the characters that mean something in conversation ids often among it. */
const userId = fc.oneof(
  fc.string({ unit: "binary", minLength: 1, maxLength: 20 }),
  fc.string({
    unit: fc.constantFrom(":", "%", "%25", "%3A", "3", "A", "5", "é", "\ufffd", "\u{10000}", "世"),
    minLength: 1,
  }),
);
const salt = fc.integer({ min: 0, max: 0xffffffff });
const position = fc.oneof(fc.integer({ min: 1, max: 2 ** 52 - 1 }), fc.constantFrom(1, 2 ** 32, 2 ** 52 - 1));
const timeMs = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const runs = () => ({ seed: seed(), numRuns: 2_000 });

test("the id of a direct conversation does not depend on who writes to whom", () => {
  fc.assert(
    fc.property(userId, userId, (a, b) => {
      expect(directConversationId(a, b)).toBe(directConversationId(b, a));
    }),
    runs(),
  );
});

test("the id of a direct conversation holds the two users in the order of their UTF-8 bytes, escaped", () => {
  expect(directConversationId("bob", "alice")).toBe("d:alice:bob");
  expect(directConversationId("a:b", "50%")).toBe("d:50%25:a%3Ab");
  expect(directConversationId("\u{10000}", "\uffff")).toBe("d:\uffff:\u{10000}");
  expect(directConversationId("%3A", ":")).toBe("d:%253A:%3A");
});

test("a direct conversation id says which two users it is of, and no other two have it", () => {
  fc.assert(
    fc.property(userId, userId, userId, userId, (a, b, c, d) => {
      const id = directConversationId(a, b);
      const target = parseConversationId(id);
      expect(target?.kind).toBe("direct");
      if (target?.kind !== "direct") return;
      expect([...target.userIds].sort()).toEqual([a, b].sort());
      expect(peerOf(target, a)).toBe(b);
      expect(peerOf(target, b)).toBe(a);
      const same = [a, b].sort().join("\0") === [c, d].sort().join("\0");
      expect(directConversationId(c, d) === id).toBe(same);
    }),
    runs(),
  );
});

test("a group's conversation id says which group it is of", () => {
  fc.assert(
    fc.property(userId, (groupId) => {
      expect(parseConversationId(groupConversationId(groupId))).toEqual({ kind: "group", groupId });
    }),
    runs(),
  );
});

test("what the server would not write itself is no conversation id", () => {
  for (const id of [
    "",
    "d",
    "d:",
    "g:",
    "d::",
    "d:a",
    "d:a:",
    "d::a",
    "d:b:a",
    "d:a:b:c",
    "d:a:%",
    "d:%3a:b",
    "d:%41:b",
    "x:a:b",
    "D:a:b",
  ])
    expect(parseConversationId(id), id).toBeUndefined();
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (rest) => {
      const target = parseConversationId(`d:${rest}`);
      if (target?.kind === "direct") expect(directConversationId(...target.userIds)).toBe(`d:${rest}`);
    }),
    runs(),
  );
});

test("ids compare as their UTF-8 bytes do", () => {
  fc.assert(
    fc.property(userId, userId, (a, b) => {
      expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
    runs(),
  );
});

test("the id of a personal log leads back to its user, and no other text is one", () => {
  fc.assert(
    fc.property(userId, (id) => {
      fc.pre(id !== "");
      expect(parseConversationId(personalConversationId(id))).toEqual({ kind: "personal", userId: id });
    }),
    runs(),
  );
  expect(personalConversationId("a:b%")).toBe("u:a%3Ab%25");
  for (const id of ["u:", "u:a:b", "u:a%3ab", "u:%", "u:%41"])
    expect(parseConversationId(id)).toBeUndefined();
});

test("a message id is a UUIDv7 with the time of acceptance, and leads back to the message", () => {
  fc.assert(
    fc.property(timeMs, salt, position, (acceptTimeMs, salt, position) => {
      const id = messageIdOf(acceptTimeMs, salt, position);
      const written = Buffer.alloc(40, "-");
      expect(writeMessageId(written, 2, acceptTimeMs, salt, position)).toBe(38);
      expect(written.toString("latin1")).toBe(`--${id}--`);
      expect(validate(id)).toBe(true);
      expect(version(id)).toBe(7);
      expect(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toBe(acceptTimeMs);
      expect(parseMessageId(id, salt)).toEqual({ position, acceptTimeMs });
      expect(parseMessageId(id.toUpperCase(), salt)).toEqual({ position, acceptTimeMs });
    }),
    runs(),
  );
});

test("two messages of a store never have the same id", () => {
  fc.assert(
    fc.property(timeMs, salt, position, position, (time, salt, a, b) => {
      expect(messageIdOf(time, salt, a) === messageIdOf(time, salt, b)).toBe(a === b);
    }),
    runs(),
  );
});

test("a message id that another store made is refused, and so is any other UUID or text", () => {
  fc.assert(
    fc.property(timeMs, salt, salt, position, (time, made, asked, position) => {
      // 22 bits of the salt are in the id.
      fc.pre((made & 0x3fffff) !== (asked & 0x3fffff));
      expect(parseMessageId(messageIdOf(time, made, position), asked)).toBeUndefined();
    }),
    runs(),
  );
  fc.assert(
    fc.property(fc.uuid({ version: [1, 3, 4, 5] }), salt, (id, salt) => {
      expect(parseMessageId(id, salt)).toBeUndefined();
    }),
    runs(),
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), salt, (text, salt) => {
      expect(parseMessageId(text, salt)).toBeUndefined();
    }),
    runs(),
  );
});
