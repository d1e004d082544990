/** Moving a store from SQLite into PostgreSQL. */

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { migrateStore } from "../../src/host/maintenance.ts";
import { Role } from "../../src/model/records.ts";
import { createPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import type { Store } from "../../src/store/store.ts";
import { bodyOf, range, settings, toGroup, toUser } from "../contracts/store-support.ts";
import { groupChanges } from "../support/group-changes.ts";
import { describeWithPostgres, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { appendUnknown, unknownKind } from "../support/unknown-events.ts";

const users = ["o", "a", "b", "left", "back"];
const token = new Uint8Array(32).fill(7);
const repeated = toUser("a", "b", { clientMessageId: "id\0" });
const silent = { begin() {}, step() {}, end() {} };

describeWithPostgres("migrate-store", () => {
  let postgres: TestPostgres;
  let dataDir: string;
  let url: string;

  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.close());
  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), "parlance-migrate-"));
    url = await postgres.createDatabase();
  });
  afterEach(() => rmSync(dataDir, { recursive: true }));

  const openSqlite = () => createSqliteStore({ path: join(dataDir, "parlance.db") });
  const configFor = (databaseUrl: string) => ({ dataDir, databaseUrl, databaseSchema: "parlance" });

  /** Fills the SQLite store, closes it and returns everything that was in it. */
  async function fillSqlite(): Promise<unknown> {
    const store = await openSqlite();
    await groupChanges(store).createGroup(
      "g\u00e9",
      "o",
      settings({ name: "a\0b", attributes: { k: "\0" } }),
      users,
    );
    await groupChanges(store).createGroup("gone", "o", settings({ muted: true }), ["a"]);
    await groupChanges(store).disbandGroup("gone", "o");
    await groupChanges(store).leaveGroup("g\u00e9", "left");
    await groupChanges(store).leaveGroup("g\u00e9", "back");
    await Promise.all(
      Array.from({ length: 1300 }, (_, n) => store.append(toGroup("a", "g\u00e9", { body: bodyOf(`${n}`) }))),
    );
    await groupChanges(store).joinGroup("g\u00e9", "back");
    await groupChanges(store).updateMember("g\u00e9", "o", "b", { role: Role.READER, mutedUntilMs: 5_000 });
    await store.append(repeated);
    await store.markRead("b", repeated.conversationId, 1);
    await store.openDevice("a", "d", 3, "phone\0");
    await store.saveCursors([{ userId: "a", deviceId: "d", position: 12 }]);
    const session = { tokenHash: token, sessionId: "s", userId: "b", deviceId: "d", platform: 2 };
    await store.createSession({ ...session, createTimeMs: 1, expireTimeMs: 2 }, "");
    await store.deleteSessions("a", undefined);
    await store.setLastActive([{ userId: "a", timeMs: 77 }]);
    await store.addStoredBytes([{ userId: "b", bytes: 2 ** 40 }]);
    const before = await view(store);
    await store.close();
    return before;
  }

  test("everything is there afterwards, under the same names, and goes on from there", async () => {
    const before = await fillSqlite();
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ["src/main.ts", "migrate-store", "--data-dir", dataDir, "--json"],
      { env: { ...process.env, PARLANCE_DATABASE_URL: url } },
    );
    const { epoch, lastPosition, tables } = JSON.parse(stdout);
    expect(tables).toContainEqual({
      table: "events",
      rows: lastPosition,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(stderr).toMatch(/copying events: \d+ rows\n/);
    const store = await createPostgresStore({ url });
    expect(store.epoch).toBe(epoch);
    expect(await view(store)).toEqual(before);
    expect(await store.append(repeated)).toMatchObject({ duplicate: true, seq: 1 });
    expect(await store.append(toUser("a", "b"))).toMatchObject({ seq: 2, position: lastPosition + 1 });
    expect(await store.append(toUser("a", "new"))).toMatchObject({ seq: 1, position: lastPosition + 2 });
    const { events } = await groupChanges(store).joinGroup("g\u00e9", "left");
    expect(events).toMatchObject([{ position: lastPosition + 3, seq: 1307 }]);
    await store.close();
    // What was moved from is as it was.
    const sqlite = await openSqlite();
    expect(await view(sqlite)).toEqual(before);
    await sqlite.close();
  });

  test("events of kinds that nobody knows are there as they were", async () => {
    const from = await openSqlite();
    await from.append(repeated);
    await from.close();
    appendUnknown(dataDir, repeated.conversationId, 3);
    await migrateStore(configFor(url), silent);
    const sqlite = await openSqlite();
    const store = await createPostgresStore({ url });
    const events = await store.readTail(0, 10);
    expect(events.map(({ kind }) => kind)).toEqual([1, unknownKind, unknownKind, unknownKind]);
    expect(events).toEqual(await sqlite.readTail(0, 10));
    expect(await store.append(toUser("a", "b"))).toMatchObject({ seq: 5, position: 5 });
    await store.close();
    await sqlite.close();
  });

  test("a transfer that was cut off goes on, and no server opens the half of it", async () => {
    const before = await fillSqlite();
    let steps = 0;
    const cutOff = migrateStore(configFor(url), {
      ...silent,
      step() {
        if (++steps === 900) throw new Error("cut off");
      },
    });
    await expect(cutOff).rejects.toThrow("cut off");
    await expect(createPostgresStore({ url })).rejects.toThrow(/unfinished transfer; go on with it/);
    const copied: string[] = [];
    await migrateStore(configFor(url), { ...silent, end: (summary) => copied.push(summary) });
    expect(copied[1]).toMatch(/^\d+ rows, the others were there already$/);
    const store = await createPostgresStore({ url });
    expect(await view(store)).toEqual(before);
    await store.close();
  });

  test("a copy that differs is found out", async () => {
    await fillSqlite();
    const cutOff = migrateStore(configFor(url), {
      ...silent,
      begin(name) {
        if (name.startsWith("comparing")) throw new Error("cut off");
      },
    });
    await expect(cutOff).rejects.toThrow("cut off");
    await postgres.query(url, "UPDATE parlance.events SET body = 'x' WHERE position = 20");
    const compared = migrateStore(configFor(url), silent);
    await expect(compared).rejects.toThrow(/the copy of events differs: 1310 rows/);
    await expect(createPostgresStore({ url })).rejects.toThrow(/unfinished transfer/);
  });

  test("a database that has data, and a file that is in use, are refused", async () => {
    const sqlite = await openSqlite();
    await expect(migrateStore(configFor(url), silent)).rejects.toThrow(/is in use by another server/);
    await sqlite.close();
    const store = await createPostgresStore({ url });
    await store.append(toUser("a", "b"));
    await expect(migrateStore(configFor(url), silent)).rejects.toThrow(
      /"parlance" has data already, in conversations/,
    );
    expect(await store.append(toUser("a", "b"))).toMatchObject({ seq: 2 });
    await store.close();
    await expect(migrateStore({ ...configFor(url), dataDir: "/nowhere" }, silent)).rejects.toThrow(
      "there is no file /nowhere/parlance.db",
    );
  });
});

/** Returns everything that can be read. */
async function view(store: Store): Promise<unknown> {
  const all = Number.MAX_SAFE_INTEGER;
  return {
    names: [store.epoch, store.salt, await store.lastPosition(), await store.lastLogoutId()],
    log: await store.readTail(0, 1e6),
    group: await store.getGroup("g\u00e9"),
    gone: await store.getGroup("gone"),
    members: await store.listMembers("g\u00e9", "", 100),
    history: await store.readSeqs("g:g\u00e9", range({ limit: 20, fromEnd: true })),
    session: await store.findSession(token),
    logouts: await store.readLogouts(0, 10),
    active: await store.getLastActive(users),
    bytes: await store.addStoredBytes([{ userId: "b", bytes: 0 }]),
    users: await Promise.all(
      users.map(async (userId) => ({
        conversations: await store.listConversations(userId, all, false, 100),
        missed: await store.readMissed(userId, 0, 10_000, 1e9),
        count: await store.countMissed(userId, 5, 10_000),
        unread: await store.firstUnreadPosition(userId),
        groups: await store.listMemberships(userId),
        refused: await store.tokensRefusedBeforeMs(userId, "d"),
      })),
    ),
  };
}
