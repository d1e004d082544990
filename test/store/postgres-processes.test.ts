/** Several processes that share one store in PostgreSQL. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { ChatError, ErrorReason } from "../../src/model/errors.ts";
import { Role } from "../../src/model/records.ts";
import { createPostgresStore } from "../../src/store/postgres/postgres-store.ts";
import type { Store } from "../../src/store/store.ts";
import type { LogEvent } from "../../wire/log-event.ts";
import { bodyOf, range, refused, settings, toGroup, toUser, unique } from "../contracts/store-support.ts";
import { eventually } from "../support/eventually.ts";
import { groupChanges } from "../support/group-changes.ts";
import { describeWithPostgres, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { pick } from "../support/random.ts";
import { randomFor } from "../support/seed.ts";

describeWithPostgres("processes that share PostgreSQL", () => {
  let postgres: TestPostgres;
  let url: string;
  const stores: Store[] = [];

  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.close());
  beforeEach(async () => {
    url = await postgres.createDatabase();
  });
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
  });

  async function openStore(): Promise<Store> {
    const store = await createPostgresStore({ url });
    stores.push(store);
    return store;
  }

  test("their log has one order, which all see without gaps at any moment", async () => {
    const store = await openStore();
    const groupId = unique("g");
    const { events: made } = await groupChanges(store).createGroup(groupId, "sender", settings(), ["reader"]);
    let isDone = false;
    const tail = followTail(store, () => isDone);
    const missed = followMissed(store, "reader", () => isDone);
    const runs = await Promise.all(
      ["a", "b", "c"].map((name) => runAppender(url, groupId, name, 400)),
    ).finally(() => {
      isDone = true;
    });
    const log = await tail;
    expect(log).toHaveLength(1200 + made.length);
    expect(await missed).toEqual(log);
    expect(log.map(({ position }) => position)).toEqual(log.map((_, n) => n + 1));
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, n) => n + 1));
    const times = log.map(({ acceptTimeMs }) => acceptTimeMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    const placed = new Map(log.map(({ position, body }) => [position, new TextDecoder().decode(body)]));
    for (const { position, text } of runs.flat()) expect(placed.get(position)).toBe(text);
    expect(await (await openStore()).readTail(0, 1e6)).toEqual(log);
  });

  test("the same message sent by several at once is stored once, and all learn where", async () => {
    const store = await openStore();
    const groupId = unique("g");
    await groupChanges(store).createGroup(groupId, "sender", settings(), []);
    const runs = await Promise.all([1, 2, 3].map(() => runAppender(url, groupId, "same", 200)));
    const places = runs.map((run) => new Map(run.map(({ text, position }) => [text, position])));
    expect(places[0]?.size).toBe(200);
    expect(places[1]).toEqual(places[0]);
    expect(places[2]).toEqual(places[0]);
    expect(await store.readSeqs(`g:${groupId}`, range({ messagesOnly: true }))).toHaveLength(200);
  });

  test("one client message id for two conversations at once is taken for one of them", async () => {
    const [one, two] = [await openStore(), await openStore()];
    for (let n = 0; n < 30; n++) {
      const [a, b, c] = [unique("a"), unique("b"), unique("c")];
      const results = await Promise.allSettled([
        one.append(toUser(a, b, { clientMessageId: "id" })),
        two.append(toUser(a, c, { clientMessageId: "id" })),
      ]);
      const refusals = results.filter((result) => result.status === "rejected");
      expect(refusals).toMatchObject([{ reason: { reason: ErrorReason.CLIENT_MESSAGE_ID_REUSED } }]);
      expect(await one.listConversations(a, Number.MAX_SAFE_INTEGER, false, 10)).toHaveLength(1);
    }
  });

  test("nobody sees past a transaction that was begun earlier, until it has ended", async () => {
    const [one, two] = [await openStore(), await openStore()];
    const before = await one.append(toUser("a", "b"));
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query("SET search_path = parlance; BEGIN");
    await client.query(
      `SELECT append_1($1, ARRAY['d:c:d'], ARRAY['c'], ARRAY['d'], ARRAY[''::bytea], '{0}', '{0}',
         ARRAY['held'::bytea], '{}', '{}', '{}', '{}')`,
      [one.epoch],
    );
    const appends = [one.append(toUser("a", "b")), two.append(toUser("a", "e"))];
    const waiting = async () =>
      (await postgres.query(url, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).length;
    await eventually(async () => (await waiting()) === 2);
    for (const store of [one, two]) {
      expect(await store.lastPosition()).toBe(before.position);
      expect(await store.readTail(0, 100)).toHaveLength(1);
      const { through, events } = await store.readMissed("d", 0, 100, 1e6);
      expect([through, events]).toEqual([before.position, []]);
    }
    await client.query("COMMIT");
    await client.end();
    const positions = (await Promise.all(appends)).map(({ position }) => position);
    expect(positions.toSorted()).toEqual([3, 4]);
    const { events } = await two.readMissed("d", before.position, 100, 1e6);
    expect(events).toMatchObject([{ position: 2, conversationId: "d:c:d" }]);
  });

  test("changes of one group by several at once all take effect, one after another", async () => {
    const all = await Promise.all([openStore(), openStore(), openStore()]);
    const groupId = unique("g");
    const results = await Promise.allSettled(
      all.map((store) => groupChanges(store).createGroup(groupId, "owner", settings(), [])),
    );
    expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected", "rejected"]);
    const seen: LogEvent[] = [];
    for (const store of all) store.onAppended((events) => seen.push(...events));
    await Promise.all(
      all.flatMap((store, s) =>
        Array.from({ length: 20 }, async (_, n) => {
          await groupChanges(store).joinGroup(groupId, `u${s}-${n}`);
          await store.append(toGroup(`u${s}-${n}`, groupId));
          if (n % 2 === 0) await groupChanges(store).leaveGroup(groupId, `u${s}-${n}`);
          else await groupChanges(store).updateMember(groupId, "owner", `u${s}-${n}`, { role: Role.READER });
        }),
      ),
    );
    const store = all[0] as Store;
    expect(await store.getGroup(groupId)).toMatchObject({ memberCount: 31 });
    expect(await store.listMembers(groupId, "", 100)).toHaveLength(31);
    const log = await store.readTail(2, 1e6);
    expect(log).toEqual(seen.toSorted((a, b) => a.position - b.position));
    expect(log.map(({ position }) => position)).toEqual(Array.from({ length: 180 }, (_, n) => n + 3));
  });

  test("messages, marks and changes of members never wait for each other in a circle", async () => {
    const all = await Promise.all([openStore(), openStore(), openStore()]);
    const groups = ["g1", "g2", "g3"];
    const users = Array.from({ length: 12 }, (_, n) => `u${n}`);
    for (const groupId of groups)
      await groupChanges(all[0] as Store).createGroup(groupId, "owner", settings(), users);
    const random = randomFor("circles");
    await Promise.all(
      all.map(async (store) => {
        for (let round = 0; round < 40; round++) {
          const writes: Array<Promise<unknown>> = [];
          for (let n = 0; n < 20; n++) {
            const [userId, groupId] = [pick(random, users), pick(random, groups)];
            writes.push(store.markRead(userId, `g:${groupId}`, 1 + Math.floor(random() * (round + 2))));
            writes.push(
              store.append(
                toUser(
                  userId,
                  pick(
                    random,
                    users.filter((id) => id !== userId),
                  ),
                ),
              ),
            );
          }
          const [userId, groupId] = [pick(random, users), pick(random, groups)];
          writes.push(groupChanges(store).removeMembers(groupId, "owner", [userId, pick(random, users)]));
          writes.push(groupChanges(store).addMembers(groupId, "owner", [userId], Role.MEMBER));
          writes.push(
            groupChanges(store).updateMember(groupId, "owner", pick(random, users), { mutedUntilMs: round }),
          );
          for (const result of await Promise.allSettled(writes)) {
            if (result.status === "rejected")
              expect(result.reason.reason).not.toBe(ErrorReason.STORE_UNAVAILABLE);
          }
        }
      }),
    );
    const log = await all[0]?.readTail(0, 1e6);
    expect(log?.map(({ position }) => position)).toEqual(log?.map((_, n) => n + 1));
    // Backends count for the last time when they end.
    await Promise.all(stores.splice(0).map((store) => store.close()));
    const backends = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'parlance %'";
    await eventually(async () => (await postgres.query(url, backends)).length === 0);
    const [{ deadlocks }] = (await postgres.query(
      url,
      "SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()",
    )) as [{ deadlocks: number }];
    expect(deadlocks).toBe(0);
  });

  test("a full group takes no more, whoever asks", async () => {
    const all = await Promise.all([openStore(), openStore()]);
    const groupId = unique("g");
    await groupChanges(all[0] as Store).createGroup(groupId, "owner", settings({ memberLimit: 6 }), []);
    const joins = all.flatMap((store, s) =>
      Array.from({ length: 5 }, (_, n) => groupChanges(store).joinGroup(groupId, `u${s}-${n}`)),
    );
    const results = await Promise.allSettled(joins);
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(5);
    expect(await all[1]?.getGroup(groupId)).toMatchObject({ memberCount: 6 });
  });

  test("what one does to sessions the others find", async () => {
    const [one, two] = [await openStore(), await openStore()];
    await Promise.all(Array.from({ length: 20 }, (_, n) => (n % 2 ? one : two).deleteSessions(`u${n}`, "d")));
    const logouts = await one.readLogouts(0, 100);
    expect(logouts.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    expect(await two.readLogouts(0, 100)).toEqual(logouts);
  });

  test("a process that freezes in the middle of its sends holds nobody up", async () => {
    const store = await openStore();
    const groupId = unique("g");
    await groupChanges(store).createGroup(groupId, "sender", settings(), []);
    for (let round = 0; round < 5; round++) {
      const child = startAppender(url, groupId, `round ${round}`, 1e9);
      await once(child.stdout, "data");
      child.kill("SIGSTOP");
      await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          store.append(toGroup("sender", groupId, { body: bodyOf(String(n)) })),
        ),
      );
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
    const log = await store.readTail(0, 1e6);
    expect(log.map(({ position }) => position)).toEqual(log.map((_, n) => n + 1));
  });

  test("backends that are killed all the time lose nothing and double nothing", async () => {
    const store = await openStore();
    const groupId = unique("g");
    await groupChanges(store).createGroup(groupId, "sender", settings(), []);
    let isDone = false;
    const tail = followTail(store, () => isDone);
    const killing = (async () => {
      while (!isDone) {
        await postgres.query(
          url,
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'parlance %'",
        );
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    })();
    const runs = await Promise.all(["a", "b"].map((name) => runAppender(url, groupId, name, 3000))).finally(
      () => {
        isDone = true;
      },
    );
    await killing;
    const log = await tail;
    expect(
      log
        .slice(2)
        .map(({ body }) => new TextDecoder().decode(body))
        .toSorted(),
    ).toEqual(
      runs
        .flat()
        .map(({ text }) => text)
        .toSorted(),
    );
    for (const { position, text } of runs.flat()) {
      expect(new TextDecoder().decode(log[position - 1]?.body)).toBe(text);
    }
  });

  test("after a crash of the server everything that was answered is there, and processes go on", async () => {
    const store = await openStore();
    const groupId = unique("g");
    const other = await openStore();
    await groupChanges(store).createGroup(groupId, "sender", settings(), []);
    const running = ["a", "b"].map((name) => runAppender(url, groupId, name, 1500));
    await eventually(async () => (await store.lastPosition()) > 500);
    const failures: unknown[] = [];
    other.onWriteFailed((error) => failures.push(error));
    await postgres.stop(true);
    await refused(other.append(toUser("a", "b")), ErrorReason.STORE_UNAVAILABLE);
    await refused(other.lastPosition(), ErrorReason.STORE_UNAVAILABLE);
    await refused(other.probe(), ErrorReason.STORE_UNAVAILABLE);
    expect(failures).toHaveLength(2);
    await postgres.start();
    const runs = (await Promise.all(running)).flat();
    await other.probe();
    const log = await store.readTail(0, 1e6);
    expect(log.map(({ position }) => position)).toEqual(log.map((_, n) => n + 1));
    expect(log).toHaveLength(2 + runs.length);
    for (const { position, seq, text } of runs) {
      const event = log[position - 1];
      expect([event?.seq, new TextDecoder().decode(event?.body)]).toEqual([seq, text]);
    }
  });
});

/** Reads the tail until all is read after `isDone`, also while reads fail, and checks that it never has a gap. */
async function followTail(store: Store, isDone: () => boolean): Promise<LogEvent[]> {
  const log: LogEvent[] = [];
  for (let failures = 0; ; ) {
    const wasDone = isDone();
    try {
      const events = await store.readTail(log.length, 100);
      for (const event of events) {
        expect(event.position).toBe(log.length + 1);
        log.push(event);
      }
      if (wasDone && events.length === 0) return log;
    } catch (error) {
      if (!(error instanceof ChatError) || (wasDone && ++failures > 100)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Reads what a user missed until all is read after `isDone`. */
async function followMissed(store: Store, userId: string, isDone: () => boolean): Promise<LogEvent[]> {
  const log: LogEvent[] = [];
  for (let position = 0; ; ) {
    const wasDone = isDone();
    const { events, through } = await store.readMissed(userId, position, 50, 1e6);
    log.push(...events);
    position = through;
    if (wasDone && events.length === 0) return log;
  }
}

function startAppender(url: string, groupId: string, name: string, count: number) {
  const file = join(import.meta.dirname, "postgres-appender.ts");
  return spawn(process.execPath, [file, url, groupId, name, String(count)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** Runs a process that sends, and returns where each of its messages stands. */
async function runAppender(url: string, groupId: string, name: string, count: number) {
  const child = startAppender(url, groupId, name, count);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const [code] = await once(child, "close");
  expect(code).toBe(0);
  return output
    .split("\n")
    .slice(0, -1)
    .map((line) => {
      const [position, seq, text] = line.split("\t") as [string, string, string];
      return { position: Number(position), seq: Number(seq), text };
    });
}
