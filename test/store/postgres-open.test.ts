/** Opening a store in PostgreSQL: the schema, and what can be wrong. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { createPostgresStore, StoreOpenError } from "../../src/store/postgres/postgres-store.ts";
import { toUser } from "../contracts/store-support.ts";
import {
  describeWithPostgres,
  guardedPassword,
  startPostgres,
  type TestPostgres,
} from "../support/postgres.ts";

describeWithPostgres("opening PostgreSQL", () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.close());

  async function openFails(url: string, schema?: string): Promise<StoreOpenError> {
    const error = await createPostgresStore({ url, ...(schema && { schema }) }).then(
      async (store) => {
        await store.close();
        return expect.fail("the store was opened");
      },
      (rejected: unknown) => rejected,
    );
    expect(error).toBeInstanceOf(StoreOpenError);
    return error as StoreOpenError;
  }

  test("processes that start at once set up one store", async () => {
    const url = await postgres.createDatabase();
    const stores = await Promise.all([1, 2, 3, 4].map(() => createPostgresStore({ url })));
    expect(new Set(stores.map(({ epoch, salt }) => `${epoch} ${salt}`)).size).toBe(1);
    const positions = await Promise.all(stores.map((store) => store.append(toUser("a", "b"))));
    expect(positions.map(({ position }) => position).toSorted()).toEqual([1, 2, 3, 4]);
    await Promise.all(stores.map((store) => store.close()));
    expect(await postgres.query(url, "SELECT step FROM parlance.schema_steps")).toEqual([
      { step: 1 },
      { step: 2 },
      { step: 3 },
      { step: 4 },
      { step: 5 },
      { step: 6 },
    ]);
  });

  test("stores in schemas of one database know nothing of each other", async () => {
    const url = await postgres.createDatabase();
    const one = await createPostgresStore({ url, schema: "one" });
    const two = await createPostgresStore({ url, schema: "two" });
    await one.append(toUser("a", "b"));
    expect(await two.lastPosition()).toBe(0);
    expect(two.epoch).not.toBe(one.epoch);
    await Promise.all([one.close(), two.close()]);
  });

  test("a schema of a newer release is used if that release allows it, and refused with its name if not", async () => {
    const url = await postgres.createDatabase();
    await (await createPostgresStore({ url })).close();
    await postgres.query(
      url,
      "INSERT INTO parlance.schema_steps (step, lowest_step, release) VALUES (98, 1, '9.8.0')",
    );
    await (await createPostgresStore({ url })).close();
    await postgres.query(
      url,
      "INSERT INTO parlance.schema_steps (step, lowest_step, release) VALUES (99, 99, '9.9.0')",
    );
    const error = await openFails(url);
    expect(error.message).toMatch(/schema "parlance" is at step 99 and needs Parlance 9\.9\.0 or later/);
    expect(error.notReachable).toBe(false);
  });

  test("a schema of another application is left alone", async () => {
    const url = await postgres.createDatabase();
    await postgres.query(url, "CREATE SCHEMA parlance; CREATE TABLE parlance.things (id int)");
    expect((await openFails(url)).message).toMatch(/schema "parlance" belongs to another application/);
    expect(await postgres.query(url, "SELECT FROM parlance.things")).toEqual([]);
    expect((await openFails(url, 'a"b')).message).toMatch(/cannot be the name of a schema/);
  });

  test("what is wrong is said in one line that never holds the password", async () => {
    const url = await postgres.createDatabase();
    const database = new URL(url).pathname.slice(1);
    const guarded = (password: string, name = database) =>
      postgres.urlOf(name, "guarded").replace("guarded@", `guarded:${password}@`);
    const cases: Array<[url: string, notReachable: boolean, message: RegExp]> = [
      [guarded("wrong-secret"), false, /does not let the user "guarded" in: password authentication failed/],
      [guarded(guardedPassword), false, /the user "guarded" may not set up the database .* grant it CREATE/],
      [postgres.urlOf("absent"), false, /there is no database "absent" at 127\.0\.0\.1:\d+; create it first/],
      [
        "postgresql://me:wrong-secret@127.0.0.1:1/x",
        true,
        /127\.0\.0\.1:1\/x cannot be reached: ECONNREFUSED/,
      ],
      ["postgresql://me:wrong-secret@127.0.0.1:port/x", false, /databaseUrl is not a URL/],
    ];
    for (const [wrong, notReachable, message] of cases) {
      const error = await openFails(wrong);
      expect(error.message).toMatch(message);
      expect(error.notReachable).toBe(notReachable);
      for (let at: unknown = error; at instanceof Error; at = at.cause) {
        expect(`${at.stack} ${JSON.stringify(at)}`).not.toMatch(
          new RegExp(`wrong-secret|${guardedPassword}`),
        );
      }
      expect(error.message).not.toContain("\n");
    }
  });

  test("a user without the right to make schemas can use one that was made for them", async () => {
    const url = await postgres.createDatabase();
    await postgres.query(url, "CREATE SCHEMA parlance AUTHORIZATION guarded");
    const own = postgres.urlOf(new URL(url).pathname.slice(1), `guarded:${guardedPassword}`);
    const store = await createPostgresStore({ url: own });
    expect(await store.append(toUser("a", "b"))).toMatchObject({ position: 1 });
    await store.close();
  });

  test("a database in another encoding is refused", async () => {
    await postgres.query(
      postgres.urlOf("postgres"),
      "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0",
    );
    expect((await openFails(postgres.urlOf("latin"))).message).toMatch(
      /encoding is LATIN1; it has to be UTF8/,
    );
  });

  test("commits wait for the disk even where the database says otherwise", async () => {
    const url = await postgres.createDatabase();
    const name = new URL(url).pathname.slice(1);
    await postgres.query(url, `ALTER DATABASE ${name} SET synchronous_commit = off`);
    await (await createPostgresStore({ url })).close();
    await postgres.query(
      url,
      `CREATE TABLE parlance.seen (setting text);
       CREATE FUNCTION parlance.note() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO parlance.seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
       CREATE TRIGGER note AFTER INSERT ON parlance.events EXECUTE FUNCTION parlance.note()`,
    );
    const store = await createPostgresStore({ url });
    await store.append(toUser("a", "b"));
    expect(await postgres.query(url, "SELECT setting FROM parlance.seen")).toEqual([{ setting: "on" }]);
    await store.close();
  });

  test("more calls than may wait are refused at once, and closing waits for the others", async () => {
    const url = await postgres.createDatabase();
    const store = await createPostgresStore({ url, maxWaitingWrites: 10, maxWaitingReads: 10 });
    const settled = <T>(calls: Array<Promise<T>>) => Promise.allSettled(calls);
    const writes = settled(Array.from({ length: 12 }, () => store.append(toUser("a", "b"))));
    const reads = settled(Array.from({ length: 12 }, () => store.lastPosition()));
    const closed = store.close();
    for (const results of [await writes, await reads]) {
      expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(10);
      expect(results.at(-1)).toMatchObject({
        reason: { name: "ChatError", details: { retryAfterMs: 1000 } },
      });
    }
    await closed;
    await expect(store.append(toUser("a", "b"))).rejects.toThrow("the store is closed");
    await expect(store.lastPosition()).rejects.toThrow("the store is closed");
    await store.close();
  });
});
