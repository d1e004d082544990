/** A PostgreSQL that fails while it is used. */

import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { ErrorReason } from "../../src/model/errors.ts";
import { Role } from "../../src/model/records.ts";
import { createPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import type { Store } from "../../src/store/store.ts";
import { refused, settings, toUser } from "../contracts/store-support.ts";
import { groupChanges } from "../support/group-changes.ts";
import { describeWithPostgres, startPostgres, type TestPostgres } from "../support/postgres.ts";

describeWithPostgres("a PostgreSQL that fails", () => {
  let postgres: TestPostgres;
  let url: string;
  let store: Store;
  const failures: unknown[] = [];

  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.close());
  beforeEach(async () => {
    url = await postgres.createDatabase();
    store = await createPostgresStore({ url });
    failures.length = 0;
    store.onWriteFailed((error) => failures.push(error));
  });
  afterEach(() => store.close());

  /** Has the server refuse, with an error of its own, as many appends as told. */
  async function failAppends(sqlState: string, times: number): Promise<void> {
    await postgres.query(
      url,
      `CREATE SEQUENCE parlance.failed;
       CREATE FUNCTION parlance.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         IF nextval('parlance.failed') <= ${times} THEN RAISE 'no' USING ERRCODE = '${sqlState}'; END IF;
         RETURN NULL;
       END $$;
       CREATE TRIGGER fail AFTER INSERT ON parlance.events EXECUTE FUNCTION parlance.fail()`,
    );
  }

  test("a full disk refuses the whole batch and stores nothing of it; then the store goes on", async () => {
    await failAppends("53100", 1);
    const sends = await Promise.allSettled(Array.from({ length: 20 }, () => store.append(toUser("a", "b"))));
    for (const send of sends) {
      expect(send).toMatchObject({
        reason: { reason: ErrorReason.STORAGE_FULL, cause: { message: "PostgreSQL 53100: no" } },
      });
    }
    expect(failures).toHaveLength(1);
    expect(await store.lastPosition()).toBe(0);
    expect(await store.append(toUser("a", "b"))).toMatchObject({ seq: 1, position: 1 });
  });

  test("what waited for as long is refused with a write that is not answered, instead of waiting on for each in turn", async () => {
    for (const groupId of ["one", "two", "three"])
      await groupChanges(store).createGroup(groupId, "o", settings(), []);
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    try {
      await other.query("BEGIN; LOCK TABLE parlance.log_head IN ACCESS EXCLUSIVE MODE");
      const writes = await Promise.allSettled([
        ...["one", "two", "three"].map((groupId) =>
          groupChanges(store).addMembers(groupId, "o", ["a"], Role.MEMBER),
        ),
        store.append(toUser("a", "b")),
      ]);
      // Only the first was tried.
      expect(writes.map((write) => write.status === "rejected" && write.reason.message)).toEqual([
        "the store does not answer; try again",
        ...Array.from({ length: 3 }, () => "the store cannot keep up; try again"),
      ]);
      expect(writes[3]).toMatchObject({ reason: { reason: ErrorReason.STORE_UNAVAILABLE } });
    } finally {
      await other.end();
    }
    expect(await store.append(toUser("a", "b"))).toMatchObject({ seq: 1 });
    expect((await store.listMembers("two", "", 10)).map(({ userId }) => userId)).toEqual(["o"]);
  });

  test("what certainly had no effect is done again, unnoticed", async () => {
    await failAppends("40001", 3);
    expect(await store.append(toUser("a", "b"))).toMatchObject({ seq: 1, position: 1 });
    const { events } = await groupChanges(store).createGroup("g", "o", settings(), []);
    expect(events.map(({ position }) => position)).toEqual([2, 3]);
    expect(failures).toEqual([]);
  });

  test("an error that is nobody's failure goes to the caller as it is", async () => {
    await failAppends("P0001", 1);
    await expect(store.append(toUser("a", "b"))).rejects.toThrow(pg.DatabaseError);
    expect(failures).toEqual([]);
    expect(await store.append(toUser("a", "b"))).toMatchObject({ position: 1 });
  });

  test("sends are refused while someone holds the end of the log, and go on afterwards", async () => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query("BEGIN; SELECT FROM parlance.log_head FOR UPDATE");
    const sends = ["b", "c"].map((to) => store.append(toUser("a", to)));
    for (const send of sends) {
      const error = await refused(send, ErrorReason.STORE_UNAVAILABLE);
      expect(error).toMatchObject({ details: { retryAfterMs: expect.any(Number) } });
    }
    expect(failures).toHaveLength(1);
    // Those who do not write to the log are not held up.
    await store.probe();
    await store.openDevice("a", "d", 1, "");
    expect(await store.lastPosition()).toBe(0);
    await client.query("ROLLBACK");
    await client.end();
    expect(await store.append(toUser("a", "b"))).toMatchObject({ position: 1 });
  });

  test("connections that freeze are given up for others", async () => {
    await store.append(toUser("a", "b", { clientMessageId: "1" }));
    const backends = await postgres.query(
      url,
      "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'parlance %'",
    );
    const signal = (name: NodeJS.Signals) => {
      for (const { pid } of backends) process.kill(Number(pid), name);
    };
    signal("SIGSTOP");
    const draft = toUser("a", "b", { clientMessageId: "2" });
    await refused(store.append(draft), ErrorReason.STORE_UNAVAILABLE);
    expect(await store.append(draft)).toMatchObject({ seq: 2, duplicate: false });
    signal("SIGCONT");
    expect(await store.append({ ...draft, clientMessageId: "3" })).toMatchObject({ seq: 3 });
  });
});
