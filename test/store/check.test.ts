import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ChatMessageSchema } from "../../gen/parlance/chat/v1/message_pb.js";
import { checkStore } from "../../src/store/sqlite/file/check.ts";
import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { settings, toUser } from "../contracts/store-support.ts";
import { groupChanges } from "../support/group-changes.ts";
import { randomFor } from "../support/seed.ts";
import { unknownBody, unknownKind } from "../support/unknown-events.ts";

const folder = mkdtempSync(join(tmpdir(), "parlance-check-"));
const sound = join(folder, "sound.db");
const messages = 20;

beforeAll(async () => {
  const path = join(folder, "store.db");
  const store = await createSqliteStore({ path });
  await groupChanges(store).createGroup("tea", "a", settings(), ["b"]);
  for (let n = 0; n < messages; n++) {
    const draft = toUser("a", "b");
    const { conversationId, senderId, clientMessageId } = draft;
    const content = { kind: { case: "text" as const, value: { body: `This is message ${n}. `.repeat(20) } } };
    const message = create(ChatMessageSchema, { conversationId, senderId, clientMessageId, content });
    await store.append({ ...draft, body: toBinary(ChatMessageSchema, message) });
  }
  await store.close();
  copyFileSync(path, sound);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The problems that `check` finds in a copy that was changed. */
function problemsAfter(change: (database: DatabaseSync) => void): string[] {
  const path = join(folder, "changed.db");
  copyFileSync(sound, path);
  const database = new DatabaseSync(path);
  change(database);
  database.close();
  return checkStore(path).flatMap(({ problems }) => problems);
}

test("check finds nothing in a store that nobody touched, also where events have no checksum yet", () => {
  expect(problemsAfter(() => {})).toEqual([]);
  expect(problemsAfter((database) => database.exec("UPDATE events SET checksum = NULL"))).toEqual([]);
});

test("check finds every letter of a body that has become another", () => {
  const random = randomFor("letters");
  for (let round = 0; round < 100; round++) {
    const position = 1 + Math.floor(random() * messages);
    const problems = problemsAfter((database) => {
      const row = database.prepare("SELECT body FROM events WHERE position = ?").get(position);
      const body = row?.["body"] as Uint8Array;
      const at = Math.floor(random() * body.length);
      body[at] = (body[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      database.prepare("UPDATE events SET body = ? WHERE position = ?").run(body, position);
    });
    expect(problems).toEqual([expect.stringMatching(`^position ${position}: `)]);
  }
});

test.each([
  "UPDATE events SET accept_time_ms = accept_time_ms + 1 WHERE position = (SELECT max(position) FROM events)",
  "UPDATE events SET client_message_id = 'other' WHERE position = 9",
  "UPDATE events SET sender_id = 'mallory' WHERE position = 9",
  "UPDATE events SET checksum = checksum + 1 WHERE position = 9",
  "UPDATE events SET kind = 3 WHERE position = 9",
])("check finds what is wrong beside a body: %s", (sql) => {
  expect(problemsAfter((database) => database.exec(sql))).not.toEqual([]);
});

test("check knows an event of a kind it does not know by its one field, and finds one that is none", () => {
  const unknown = (body: Uint8Array) =>
    problemsAfter((database) =>
      database
        .prepare("UPDATE events SET kind = ?, body = ?, checksum = NULL WHERE position = 9")
        .run(unknownKind, body),
    );
  expect(unknown(unknownBody("later"))).toEqual([]);
  expect(unknown(Buffer.from("later"))).toEqual(["position 9: of kind 99, and not one field"]);
});

test("check finds a position that the log never gave", () => {
  const problems = problemsAfter((database) =>
    database.exec(
      "UPDATE events SET position = position + 1, checksum = NULL WHERE position = (SELECT max(position) FROM events)",
    ),
  );
  expect(problems).toEqual([expect.stringMatching(/^\d+ events have the positions 1 to \d+$/)]);
});

test("a file that cannot be read at all breaks a rule, so that a backup is what helps", () => {
  const path = join(folder, "malformed.db");
  for (const from of [0, 100]) {
    const bytes = readFileSync(sound);
    bytes.fill(0x5a, from, from + 3_000);
    writeFileSync(path, bytes);
    const broken = checkStore(path).filter(({ problems }) => problems.length > 0);
    expect(broken.map(({ rule }) => rule)).toEqual(["the file and its indexes are sound"]);
    expect(broken[0]?.problems[0]).toMatch(/^it cannot be read: /);
  }
});
