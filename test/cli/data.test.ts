import { execFile } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { backup, restore } from "../../src/host/maintenance.ts";
import { failureIn, failureOf } from "../support/errors.ts";
import { startTestServer, type TestServer, text } from "../support/server.ts";

let server: TestServer;
let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "parlance-data-"));
  server = await startTestServer();
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

async function parlance(...args: string[]): Promise<Outcome> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ["src/main.ts", ...args]);
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as Outcome;
    return { code, stdout, stderr };
  }
}

async function fill(count: number): Promise<void> {
  const alice = await server.login("alice");
  await alice.groups.createGroup({ groupId: "tea", memberIds: ["bob"] });
  for (let i = 0; i < count; i++)
    await alice.chat.sendGroup({ groupId: "tea", content: text(`number ${i}`) });
}

test("a backup made while messages pass is one moment of the log, and is sound", async () => {
  await fill(20);
  const alice = await server.login("alice");
  let going = true;
  const storm = (async () => {
    for (let i = 0; going; i++)
      await alice.chat.sendDirect({ recipientId: "bob", content: text(`more ${i}`) });
  })();
  const file = join(folder, "backup.db");
  const made = await parlance("backup", file, "--data-dir", server.dataDir, "--json");
  going = false;
  await storm;
  expect(made).toMatchObject({ code: 0, stderr: "" });
  const { lastPosition } = JSON.parse(made.stdout);
  expect(lastPosition).toBeGreaterThanOrEqual(22);
  const again = await parlance("backup", file, "--data-dir", server.dataDir);
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("exists already") });

  const copy = join(folder, "copy");
  expect(await parlance("restore", file, "--data-dir", copy)).toMatchObject({ code: 0 });
  const checked = await parlance("check", "--data-dir", copy, "--json");
  expect(checked.code).toBe(0);
  for (const { rule, problems } of JSON.parse(checked.stdout)) expect(problems, rule).toEqual([]);
});

test("a restored store has a new epoch: older cursors are refused, tokens have ended, and the log goes on", async () => {
  await fill(3);
  const file = join(folder, "backup.db");
  expect(await parlance("backup", file, "--data-dir", server.dataDir)).toMatchObject({ code: 0 });
  await fill2();
  const bob = await server.login("bob");
  const stream = bob.stream();
  await stream.open();
  await stream.until(() => stream.texts().length === 4);
  const { cursor } = stream.events.findLast(({ cursor }) => cursor !== undefined) ?? {};
  stream.cancel();

  const refused = await parlance("restore", file, "--data-dir", server.dataDir);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("in use by another server") });

  await server.server.close();
  expect(await parlance("restore", file, "--data-dir", server.dataDir)).toMatchObject({ code: 0 });
  await server.restart();
  expect(await failureOf((options) => bob.conversations.listConversations({}, options))).toMatchObject({
    code: "UNAUTHENTICATED",
    reasonName: "INVALID_TOKEN",
  });
  const back = (await server.login("bob")).stream();
  back.send({ case: "open", value: { resumeFrom: cursor } });
  expect(failureIn(await back.next("refusal")).reasonName).toBe("CURSOR_OF_ANOTHER_EPOCH");
  await back.open();
  await back.until(() => back.texts().length === 3);
  const alice = await server.login("alice");
  const { result } = await alice.chat.sendGroup({ groupId: "tea", content: text("after the restore") });
  expect(result?.seq).toBe(6n);
  await back.next("message", ({ seq }) => seq === 6n);
  back.cancel();

  async function fill2() {
    const alice = await server.login("alice");
    await alice.chat.sendGroup({ groupId: "tea", content: text("lost by the restore") });
  }
});

test("what is no store is neither restored nor backed up, and leaves nothing behind", async () => {
  await fill(3);
  await server.server.close();
  const foreign = (name: string, sql: string) => {
    const database = new DatabaseSync(join(folder, name));
    database.exec(sql);
    database.close();
  };
  writeFileSync(join(folder, "empty"), "");
  writeFileSync(join(folder, "text"), "These are the notes of a meeting.\n".repeat(500));
  mkdirSync(join(folder, "folder"));
  foreign("no-tables", "PRAGMA user_version = 0; VACUUM");
  foreign("foreign", "CREATE TABLE notes (body TEXT)");
  foreign("foreign-version", "CREATE TABLE meta (name TEXT, value TEXT); PRAGMA user_version = 2");
  foreign(
    "foreign-meta",
    "CREATE TABLE meta (a); CREATE TABLE events (b); CREATE TABLE conversations (c); PRAGMA user_version = 1",
  );
  copyFileSync(join(server.dataDir, "parlance.db"), join(folder, "cut"));
  truncateSync(join(folder, "cut"), 8_192);

  const names = readdirSync(folder);
  const before = readFileSync(join(server.dataDir, "parlance.db"));
  const files = readdirSync(server.dataDir).sort();
  const spoken = await parlance("restore", join(folder, "empty"), "--data-dir", server.dataDir);
  expect(spoken).toMatchObject({ code: 1, stdout: "" });
  expect(spoken.stderr).toMatch(/^parlance: \S+empty is no store: [^\n]+\n$/);
  for (const name of [...names, "none"]) {
    for (const dataDir of [server.dataDir, join(folder, "new")]) {
      const path = join(folder, name);
      expect(() => restore({ dataDir, databaseUrl: undefined }, path), name).toThrow(path);
    }
    if (existsSync(join(folder, "new")))
      expect(readdirSync(join(folder, "new")), name).toEqual(["parlance.db.lock"]);
    rmSync(join(folder, "new"), { recursive: true, force: true });
  }
  expect(readdirSync(server.dataDir).sort()).toEqual(files);
  expect(readFileSync(join(server.dataDir, "parlance.db"))).toEqual(before);
  expect(readdirSync(folder)).toEqual(names);

  for (const name of ["empty", "text", "foreign", "foreign-version"]) {
    const dataDir = join(folder, `of-${name}`);
    mkdirSync(dataDir);
    copyFileSync(join(folder, name), join(dataDir, "parlance.db"));
    const target = join(folder, "backup.db");
    expect(() => backup({ dataDir, databaseUrl: undefined }, target), name).toThrow("is no store");
    expect(readdirSync(folder), name).not.toContain("backup.db.partial");
  }
  await server.restart();
});

test("check finds a missing event, a wrong count and a foreign body, and says where", async () => {
  await fill(5);
  await server.server.close();
  const broken = join(folder, "parlance.db");
  copyFileSync(join(server.dataDir, "parlance.db"), broken);
  const database = new DatabaseSync(broken);
  database.exec("DELETE FROM events WHERE seq = 4");
  database.exec("UPDATE groups SET member_count = 7");
  database.exec("UPDATE events SET sender_id = 'mallory' WHERE seq = 6");
  database.close();
  const { code, stdout, stderr } = await parlance("check", "--data-dir", folder);
  expect(code).toBe(1);
  expect(stderr).toContain("4 rules are broken");
  expect(stdout).toContain("BROKEN  the seqs of each conversation are 1, 2, 3, … without gaps");
  expect(stdout).toContain("g:tea has 6 events, seqs 1 to 7");
  expect(stdout).toContain("BROKEN  the positions of the log are 1, 2, 3, … without gaps");
  expect(stdout).toContain("tea says 7, has 2");
  expect(stdout).toContain("a message of another sender than its row says");
  await server.restart();
});

test("what is in a database is left to its own tools, unless a folder is named", async () => {
  const config = join(folder, "config.json");
  writeFileSync(config, JSON.stringify({ databaseUrl: "postgres://a/b" }));
  for (const args of [["backup", join(folder, "copy.db")], ["restore", join(folder, "copy.db")], ["check"]]) {
    const { code, stdout, stderr } = await parlance(...args, "--config", config);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^parlance: the data is in PostgreSQL .*pg_dump.*\n$/);
  }
  expect((await parlance("check", "--config", config, "--data-dir", server.dataDir)).code).toBe(0);
});
