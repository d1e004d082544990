import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, test, vi } from "vitest";
import { ErrorReason } from "../../src/model/errors.ts";
import { maxLogPages } from "../../src/store/sqlite/file/database.ts";
import { schemaVersion } from "../../src/store/sqlite/file/migrations.ts";
import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { type StoreUnderTest, storeContract } from "../contracts/store.ts";
import { range, refused, toUser } from "../contracts/store-support.ts";
import { eventually } from "../support/eventually.ts";
import { appendUnknownToFile } from "../support/unknown-events.ts";

const directories: string[] = [];

function newPath(): string {
  const directory = mkdtempSync(join(tmpdir(), "parlance-"));
  directories.push(directory);
  return join(directory, "sub", "chat.db");
}

function removeDirectories(): void {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
}

storeContract("sqlite store", async () => {
  const path = newPath();
  const tested: StoreUnderTest = {
    store: await createSqliteStore({ path }),
    async reopen() {
      await tested.store.close();
      tested.store = await createSqliteStore({ path });
    },
    async appendUnknown(conversationId, audience) {
      await tested.store.close();
      appendUnknownToFile(path, conversationId, [audience]);
      tested.store = await createSqliteStore({ path });
    },
    async remove() {
      await tested.store.close();
      removeDirectories();
    },
  };
  return tested;
});

describe("sqlite", () => {
  afterEach(removeDirectories);

  test("what was answered is there after kill -9", async () => {
    const path = newPath();
    const answered: string[] = [];
    for (let round = 0; round < 5; round++) {
      const child = spawn(process.execPath, [join(import.meta.dirname, "appender.ts"), path, String(round)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = once(child, "close");
      let output = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        if (output.length > 15_000) child.kill("SIGKILL");
      });
      await ended;
      answered.push(...output.split("\n").slice(0, -1));

      const store = await createSqliteStore({ path });
      const log = await store.readTail(0, 1e6);
      const stored = new Map(log.map((event) => [event.position, event]));
      expect([...stored.keys()]).toEqual(log.map((_, n) => n + 1));
      for (const line of answered) {
        const [position, seq, text] = line.split("\t");
        const event = stored.get(Number(position));
        expect([event?.seq, new TextDecoder().decode(event?.body)]).toEqual([Number(seq), text]);
      }
      await store.close();
    }
    expect(answered.length).toBeGreaterThan(1000);
  });

  test("a second server on the same file is refused with a line that names it", async () => {
    const path = newPath();
    const store = await createSqliteStore({ path });
    await expect(createSqliteStore({ path })).rejects.toThrow(
      `the database ${path} is in use by another server`,
    );
    const source = `
      import { createSqliteStore } from ${JSON.stringify(new URL("../../src/store/sqlite/sqlite-store.ts", import.meta.url))};
      await createSqliteStore({ path: process.argv[1] }).catch((error) => console.log(error.message));
    `;
    const child = spawn(process.execPath, ["--input-type=module", "-e", source, path]);
    const [text] = await once(child.stdout.setEncoding("utf8"), "data");
    expect(text).toBe(`the database ${path} is in use by another server\n`);
    // Others may read it.
    const other = new DatabaseSync(path, { readOnly: true });
    expect(other.prepare("SELECT count(*) AS count FROM events").get()).toMatchObject({ count: 0 });
    other.close();
    await store.close();
    await (await createSqliteStore({ path })).close();
  });

  test("a file of a newer schema, of another application or of another kind is refused", async () => {
    const path = newPath();
    await (await createSqliteStore({ path })).close();
    const alter = (sql: string) => {
      const database = new DatabaseSync(path);
      database.exec(sql);
      database.close();
    };
    alter("PRAGMA user_version = 99");
    await expect(createSqliteStore({ path })).rejects.toThrow(/schema version 99, made by a newer release/);
    alter("PRAGMA user_version = 0");
    await expect(createSqliteStore({ path })).rejects.toThrow(/another application/);
    alter(`PRAGMA user_version = ${schemaVersion}`);
    await (await createSqliteStore({ path })).close();
    writeFileSync(path, "This is a file of text, not a database. ".repeat(100));
    await expect(createSqliteStore({ path })).rejects.toThrow(
      `${path} is no database, or its first page is damaged; name the right folder with --data-dir`,
    );
  });

  test("writes are refused while another process holds the file, and go on afterwards", async () => {
    const path = newPath();
    const store = await createSqliteStore({ path });
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    const failures: unknown[] = [];
    const stopListening = store.onWriteFailed((failure) => failures.push(failure));
    const [error] = await Promise.all([
      refused(store.append(toUser("a", "b")), ErrorReason.STORE_UNAVAILABLE),
      refused(store.append(toUser("c", "d")), ErrorReason.STORE_UNAVAILABLE),
    ]);
    expect(failures).toEqual([error]);
    stopListening();
    await refused(store.probe(), ErrorReason.STORE_UNAVAILABLE);
    expect(failures).toHaveLength(1);
    expect(error).toMatchObject({ details: { retryAfterMs: expect.any(Number) }, cause: expect.any(Error) });
    expect(await store.lastPosition()).toBe(0);
    other.exec("ROLLBACK");
    other.close();
    expect(await store.append(toUser("a", "b"))).toMatchObject({ seq: 1, position: 1 });
    await store.close();
  });

  test("a full disk refuses the whole batch and stores nothing of it; then the store goes on", async () => {
    const path = newPath();
    const full = await createSqliteStore({ path, maxFileBytes: 60 * 4096 });
    const drafts = Array.from({ length: 50 }, (_, n) =>
      toUser("a", `b${n}`, { body: new Uint8Array(20_000) }),
    );
    const results = await Promise.allSettled(drafts.map((draft) => full.append(draft)));
    for (const result of results) {
      expect(result).toMatchObject({
        reason: { reason: ErrorReason.STORAGE_FULL, cause: expect.any(Error) },
      });
    }
    expect(await full.lastPosition()).toBe(0);
    // 60 pages have room for no more than one probe.
    await full.probe();
    const filler = toUser("a", "b", { body: new Uint8Array(100_000) });
    await full.append(filler);
    await refused(full.probe(), ErrorReason.STORAGE_FULL);
    const small = toUser("a", "b0", { body: new Uint8Array(1) });
    expect(await full.append(small)).toMatchObject({ seq: 1, position: 2 });
    expect(await full.readSeqs(small.conversationId, range())).toHaveLength(1);
    await full.close();
  });

  test("a log that grew long is carried over beside the writer, begins anew, and nothing is lost of it", async () => {
    const path = newPath();
    const store = await createSqliteStore({ path });
    const looker = new DatabaseSync(path);
    const look = looker.prepare("PRAGMA wal_checkpoint(NOOP)");
    const pages = () => Number(look.get()?.log);
    let count = 0;
    const append = () => {
      count++;
      return store.append(toUser("a", "b", { body: new Uint8Array(8_000) }));
    };
    while (pages() < maxLogPages / 2) await Promise.all(Array.from({ length: 100 }, append));
    const most = pages();
    expect(most).toBeLessThan(maxLogPages);
    // From here on one at a time: what the writer is left with is carried over with the next commit.
    await eventually(async () => {
      await append();
      return pages() < most;
    });
    looker.close();
    await store.close();
    const reopened = await createSqliteStore({ path });
    const seqs = (await reopened.readTail(0, 1e6)).map(({ seq }) => seq);
    expect(seqs).toEqual(Array.from({ length: count }, (_, n) => n + 1));
    await reopened.close();
  });

  test("a worker that ended is started again by the next call", async () => {
    const posted = vi.spyOn(Worker.prototype, "postMessage");
    const logged: string[] = [];
    const store = await createSqliteStore({
      path: newPath(),
      logger: { error: (_, message) => logged.push(message) },
    });
    const first = await store.append(toUser("a", "b"));
    await store.lastPosition();
    const workers = new Set(posted.mock.contexts as Worker[]);
    posted.mockRestore();
    expect(workers.size).toBe(2);
    for (const worker of workers) await worker.terminate();
    expect(logged).toHaveLength(2);
    expect(await store.readPosition(first.position)).toMatchObject({ seq: 1 });
    expect(await store.append(toUser("a", "b"))).toMatchObject({ seq: 2 });
    await store.close();
  });

  test("more writes than may wait are refused at once", async () => {
    const store = await createSqliteStore({ path: newPath(), maxWaitingWrites: 10 });
    const results = await Promise.allSettled(
      Array.from({ length: 12 }, () => store.append(toUser("a", "b"))),
    );
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(10);
    expect(results.at(-1)).toMatchObject({ reason: { reason: ErrorReason.STORE_UNAVAILABLE } });
    await store.close();
  });

  test("closing waits for what is under way and refuses what comes later", async () => {
    const path = newPath();
    const store = await createSqliteStore({ path });
    const appends = Array.from({ length: 100 }, () => store.append(toUser("a", "b")));
    const closed = store.close();
    await refused(store.append(toUser("a", "b")), ErrorReason.STORE_UNAVAILABLE);
    await closed;
    expect((await Promise.all(appends)).at(-1)).toMatchObject({ seq: 100 });
    await refused(store.lastPosition(), ErrorReason.STORE_UNAVAILABLE);
    await store.close();
  });
});
