import { spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { text as textOf } from "node:stream/consumers";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.js";
import { createSmallDisk, missingSmallDisk } from "../faults/disturb/small-disk.ts";
import { connect, logIn } from "../support/connect.ts";
import { describeUnless, testUnless } from "../support/describe-unless.ts";
import { failureOf } from "../support/errors.ts";
import { eventually } from "../support/eventually.ts";
import { startServe } from "../support/serve-child.ts";
import { text } from "../support/server.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "parlance-start-"));
  folders.push(folder);
  chmodSync(folder, 0o755);
  return folder;
}

/** Somebody without the rights of root, who may do what anybody may. */
const nobody = 65_534;
const asNobody = ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"];
const main = resolve("src/main.ts");
const missingNobody =
  spawnSync(asNobody[0] as string, [...asNobody.slice(1), process.execPath, "--check", main]).status === 0
    ? undefined
    : "needs root and a checkout that everybody may read";

/** Runs a server that is to end by itself; one that does not is killed. */
async function serve(dataDir: string, wrapper: readonly string[] = []) {
  const args = ["serve", "--port", "0", "--no-http", "--data-dir", dataDir];
  const [command = "", ...rest] = [...wrapper, process.execPath, main, ...args];
  const child = spawn(command, rest, { timeout: 120_000, env: { ...process.env, NODE_OPTIONS: "" } });
  const ended = new Promise<number | null>((done) => child.once("exit", done));
  const [stdout, stderr, code] = await Promise.all([textOf(child.stdout), textOf(child.stderr), ended]);
  return { stdout, stderr, code };
}

describe("a server that cannot open its data says why in one line, with the way out, and ends:", () => {
  const cases: [string, (folder: string) => void, RegExp][] = [
    [
      "a folder in place of the file",
      (folder) => mkdirSync(join(folder, "parlance.db")),
      /parlance\.db is a folder where a file should be; move it away/,
    ],
    [
      "a folder in place of the lock",
      (folder) => mkdirSync(join(folder, "parlance.db.lock")),
      /parlance\.db\.lock is a folder where a file should be; move it away/,
    ],
    [
      "no database",
      (folder) => writeFileSync(join(folder, "parlance.db"), "text. ".repeat(2_000)),
      /parlance\.db is no database, .*; name the right folder with --data-dir, or restore/,
    ],
    [
      "a database of another application",
      (folder) => alter(folder, "CREATE TABLE other (x)"),
      /is a database of another application; name another folder/,
    ],
    [
      "a newer schema",
      (folder) => alter(folder, "PRAGMA user_version = 99"),
      /has schema version 99, made by a newer release; .*; start that release/,
    ],
  ];
  test.each(cases)("%s", async (_, prepare, message) => {
    const folder = newFolder();
    prepare(folder);
    await expectOneLine(serve(folder), message);
  });

  test("a file in place of the folder", async () => {
    const file = join(newFolder(), "data");
    writeFileSync(file, "");
    await expectOneLine(serve(file), /is no folder and cannot become one, as a file is there; name another/);
  });

  test("another program that holds the database", async () => {
    const folder = newFolder();
    const other = new DatabaseSync(join(folder, "parlance.db"));
    other.exec("BEGIN EXCLUSIVE; CREATE TABLE x (y)");
    await expectOneLine(serve(folder), /parlance\.db is in use by another program; stop that/);
    other.close();
  });

  testUnless(missingNobody, "a folder that its user may not write", async () => {
    const folder = newFolder();
    await expectOneLine(
      serve(folder, asNobody),
      /this user may not write in the folder .*; change its owner/,
    );
    await expectOneLine(
      serve(join(folder, "sub"), asNobody),
      /this user may not make the folder .*; make it/,
    );
  });
});

testUnless(
  missingNobody,
  "a server whose file is read-only serves reads and is NOT_SERVING from the start",
  async () => {
    const folder = newFolder();
    const token = await fill(folder);
    chownSync(folder, nobody, nobody);
    for (const end of [".lock", ".reserve"]) chownSync(join(folder, `parlance.db${end}`), nobody, nobody);
    chmodSync(join(folder, "parlance.db"), 0o444);
    const child = await startServe(folder, [], { wrapper: asNobody });
    onTestFinished(() => child.kill());
    await expectReadOnly(child.address, token, "STORE_UNAVAILABLE");
    expect(child.stderr()).toContain("may not write to its data");
  },
);

describeUnless(missingSmallDisk(), "on a full disk", () => {
  test("a server starts, serves what it has and is NOT_SERVING until there is room", async () => {
    const disk = createSmallDisk(16 * 1_048_576);
    onTestFinished(disk.close);
    const token = await fill(disk.path);
    disk.fill();
    const child = await startServe(disk.path);
    onTestFinished(() => child.kill());
    await expectReadOnly(child.address, token, "STORAGE_FULL");
    expect(child.stderr()).toContain("the disk is full");
    expect(child.stderr()).not.toContain("in use");
    disk.free();
    const { health, close } = connect(child.address);
    onTestFinished(close);
    await eventually(async () => (await health.check({})).status === ServingStatus.SERVING);
  });

  test("a server that has nothing yet says that there is no room", async () => {
    const disk = createSmallDisk(1_048_576);
    onTestFinished(disk.close);
    disk.fill();
    await expectOneLine(serve(disk.path), /there is no room left on the disk of .*; free some/);
    // Nothing half made: the next start finds a file without a byte, as good as none.
    expect(statSync(join(disk.path, "parlance.db")).size).toBe(0);
  });
});

async function expectOneLine(run: ReturnType<typeof serve>, message: RegExp): Promise<void> {
  const { stdout, stderr, code } = await run;
  expect(stderr).toMatch(/^parlance: the service cannot start: .*; .*\n$/);
  expect(stderr).toMatch(message);
  expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
}

/** Makes a store in which alice has a message and a session; returns the session's token. */
async function fill(folder: string): Promise<string> {
  const child = await startServe(folder);
  onTestFinished(() => child.kill());
  const [token = ""] = await logIn(child.address, ["alice"]);
  const { chat, close } = connect(child.address, token);
  await chat.sendDirect({ recipientId: "bob", content: text("before") });
  close();
  child.signal("SIGTERM");
  expect(await child.exited).toBe(0);
  return token;
}

async function expectReadOnly(address: string, token: string, reasonName: string): Promise<void> {
  const { health, close } = connect(address);
  onTestFinished(close);
  expect((await health.check({})).status).toBe(ServingStatus.NOT_SERVING);
  const alice = connect(address, token);
  onTestFinished(alice.close);
  const { messages } = await alice.messages.listMessages({ target: { case: "recipientId", value: "bob" } });
  expect(messages).toHaveLength(1);
  // A little may still fit on a disk that is full.
  const content = text("x".repeat(16_000));
  const send = () =>
    failureOf((options) => alice.chat.sendDirect({ recipientId: "bob", content }, options)).catch(
      () => undefined,
    );
  let refused = await send();
  for (let n = 0; n < 20 && refused === undefined; n++) refused = await send();
  expect(refused).toMatchObject({ reasonName });
}

function alter(folder: string, sql: string): void {
  const database = new DatabaseSync(join(folder, "parlance.db"));
  database.exec(sql);
  database.close();
}
