import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkStore } from "../../src/store/sqlite/file/check.ts";
import { isLogDamaged } from "../../src/store/sqlite/file/log-damage.ts";
import { openTransferSource } from "../../src/store/sqlite/file/transfer-source.ts";
import { createSqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { toUser } from "../contracts/store-support.ts";
import { randomFor } from "../support/seed.ts";

const messages = 60;
const folder = mkdtempSync(join(tmpdir(), "parlance-damage-"));
/** A store as a crash leaves it: a database, and a log with the last commits. */
const crashed = join(folder, "crashed.db");
let epoch = "";
/** Where the frames of each commit end in the log, in bytes. */
const ends: number[] = [];

beforeAll(async () => {
  const path = join(folder, "first.db");
  // Closed once, so that the tables are in the database.
  await (await createSqliteStore({ path })).close();
  const store = await createSqliteStore({ path });
  epoch = store.epoch;
  for (let i = 0; i < messages; i++) {
    await store.append(toUser(`a${i % 7}`, "b", { body: new Uint8Array(1 + ((i * 977) % 9_000)).fill(i) }));
    ends.push(readFileSync(`${path}-wal`).length);
  }
  for (const end of ["", "-wal"]) copyFileSync(path + end, crashed + end);
  await store.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Changes the log of the crashed store and tells whether that is found to be damage, and what SQLite makes of it. */
function tryWith(change: (log: Buffer) => Buffer): {
  path: string;
  log: Buffer;
  damaged: boolean;
  last: number;
} {
  const path = join(mkdtempSync(join(folder, "try-")), "chat.db");
  copyFileSync(crashed, path);
  const log = change(readFileSync(`${crashed}-wal`));
  writeFileSync(`${path}-wal`, log);
  const damaged = isLogDamaged(path);
  // Of a copy, since SQLite empties the log when it is done.
  for (const end of ["", "-wal"]) copyFileSync(path + end, `${path}.copy${end}`);
  const database = new DatabaseSync(`${path}.copy`);
  const last = Number(
    database.prepare("SELECT ifnull(max(position), 0) AS last FROM events").get()?.["last"],
  );
  database.close();
  return { path, log, damaged, last };
}

function kept(directory: string): Buffer[] {
  const names = readdirSync(directory).filter((name) => name.includes("damaged"));
  return names.map((name) => readFileSync(join(directory, name)));
}

function flipped(log: Buffer, bit: number): Buffer {
  const byte = Math.floor(bit / 8);
  log[byte] = (log[byte] ?? 0) ^ (1 << (bit % 8));
  return log;
}

describe("a write-ahead log with one bit flipped", () => {
  test("anywhere in it drops no answered message in silence", () => {
    const random = randomFor("flips");
    // The header, the first frame's, and places all over, but for the last commit, which looks like one cut off.
    const end = ends.at(-2) as number;
    const bits = [3, 100, 8 * 12 + 1, 8 * 26, 8 * 33, 8 * 37, 8 * 45, 8 * 50];
    for (let i = 0; i < 150; i++) bits.push(Math.floor(random() * end * 8));
    let lossy = 0;
    for (const bit of bits) {
      const { last, damaged, path } = tryWith((log) => flipped(log, bit));
      if (last < messages) lossy++;
      expect([bit, damaged]).toEqual([bit, last < messages]);
      rmSync(dirname(path), { recursive: true });
    }
    expect(lossy).toBeGreaterThan(100);
  });

  test("is said to be damaged and kept, and the store gets a new epoch", async () => {
    const { path, log, last } = tryWith((whole) => flipped(whole, 8 * 20_000));
    const lines: string[] = [];
    const store = await createSqliteStore({ path, logger: { error: (_, line) => void lines.push(line) } });
    const renewed = store.epoch;
    expect(renewed).not.toBe(epoch);
    expect(await store.lastPosition()).toBe(last);
    expect(lines).toEqual([expect.stringContaining("the write-ahead log was damaged")]);
    expect(kept(dirname(path)).map((each) => each.equals(log))).toEqual([true]);
    await store.close();
    const again = await createSqliteStore({ path });
    expect(again.epoch).toBe(renewed);
    await again.close();
    expect(kept(dirname(path))).toHaveLength(1);
  });

  test("has a start that was cut off after it was found give the store a new epoch the next time", async () => {
    const path = join(folder, "cut-off.db");
    copyFileSync(crashed, path);
    // The copy was made, and SQLite has recovered and emptied the log since.
    writeFileSync(`${path}-wal.damaged`, "the damaged log");
    const store = await createSqliteStore({ path });
    expect(store.epoch).not.toBe(epoch);
    await store.close();
    expect(existsSync(`${path}-wal.damaged`)).toBe(false);
  });
});

describe("a write-ahead log that is not damaged", () => {
  test("is not taken for damaged, wherever it was cut off", () => {
    const random = randomFor("cuts");
    const size = readFileSync(`${crashed}-wal`).length;
    for (let i = 0; i < 60; i++) {
      const length = Math.floor(random() * size);
      const { last, damaged } = tryWith((log) => log.subarray(0, length));
      expect([length, damaged]).toEqual([length, false]);
      // As many as were committed within that.
      expect(last).toBe(ends.filter((end) => end <= length).length);
    }
  });

  test("is not taken for damaged after a power cut, of whose last commit any sectors are on the disk", () => {
    const random = randomFor("sectors");
    for (let i = 0; i < 60; i++) {
      const last = 10 + Math.floor(random() * (messages - 10));
      const [from, to] = [ends[last - 2] as number, ends[last - 1] as number];
      const found = tryWith((log) => {
        const cut = log.subarray(0, to);
        for (let sector = from; sector < to; sector += 512)
          if (random() < 0.4) cut.fill(0, sector, Math.min(to, sector + 512));
        return cut;
      });
      expect([last, found.damaged]).toEqual([last, false]);
      expect([last - 1, last]).toContain(found.last);
    }
  });

  test("has nothing to say where there is none", () => {
    mkdirSync(join(folder, "empty"));
    expect(isLogDamaged(join(folder, "empty", "chat.db"))).toBe(false);
    const path = join(folder, "empty", "other.db");
    writeFileSync(path, "");
    for (const log of ["", "x".repeat(100), "\0".repeat(20_000), "\xff".repeat(20_000)]) {
      writeFileSync(`${path}-wal`, log, "latin1");
      expect(isLogDamaged(path)).toBe(false);
    }
  });
});

test("check finds a damaged log, where no server uses it", () => {
  const { path } = tryWith((whole) => flipped(whole, 8 * 20_000));
  expect(checkStore(path)[0]).toEqual({
    rule: "the write-ahead log is whole",
    problems: [expect.stringContaining("it is damaged")],
  });
  expect(isLogDamaged(path)).toBe(true);
});

test("a damaged log is not moved to another store as if it were whole", () => {
  const { path } = tryWith((whole) => flipped(whole, 8 * 20_000));
  expect(() => openTransferSource(path)).toThrow(/write-ahead log of .* is damaged; start the service once/);
  expect(isLogDamaged(path)).toBe(true);
});
