import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { connect, logIn } from "../support/connect.ts";
import { eventually } from "../support/eventually.ts";
import { makeDataDir, startServe } from "../support/serve-child.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

let server: TestServer;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "parlance-serve-"));
  server = await startTestServer();
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a command that is to end by itself; one that does not is killed. */
async function run(...args: string[]) {
  const child = spawn(process.execPath, ["src/main.ts", ...args], { timeout: 120_000 });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { stdout, stderr, code };
}

test("a server whose port is taken says so in one line and ends, having closed what it had opened", async () => {
  const args = ["serve", "--port", String(server.server.port), "--data-dir", folder];
  const taken = await run(...args);
  expect(taken).toMatchObject({ stdout: "", code: 1 });
  expect(taken.stderr).toMatch(/^parlance: port \d+ of 127\.0\.0\.1 is taken; .*--port.*\n$/);
  // Its data is free again.
  expect(await run(...args)).toEqual(taken);
});

test("a server whose admin port is taken says so in one line and ends", async () => {
  const { port } = server.server;
  const taken = await run("serve", "--port", "0", "--admin-port", String(port), "--data-dir", folder);
  expect(taken).toMatchObject({ stdout: "", code: 1 });
  expect(taken.stderr).toMatch(/^parlance: port \d+ of 127\.0\.0\.1 is taken; .*--admin-port.*\n$/);
});

test.each([
  ["NATS without a database", ["--nats-url", "nats://127.0.0.1"]],
  ["several workers on one file", ["--workers", "2"]],
])("a server that is told %s says in one line what is missing and ends", async (_, args) => {
  const { stdout, stderr, code } = await run("serve", ...args);
  expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
  expect(stderr).toMatch(/^parlance: .*PARLANCE_DATABASE_URL.*\n$/);
});

test("a server whose data is in use says so in one line and ends", async () => {
  const { stdout, stderr, code } = await run("serve", "--port", "0", "--data-dir", server.dataDir);
  expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
  expect(stderr).toMatch(
    /^parlance: the service cannot start: the database .* is in use by another server; .*\n$/,
  );
});

test("a server says at the level warn, too, that it serves and where, and nothing at higher ones", async () => {
  for (const [level, said] of [
    ["warn", 1],
    ["error", 0],
    ["silent", 0],
  ] as const) {
    const data = makeDataDir();
    onTestFinished(data.remove);
    const child = await startServe(data.path, ["--log-level", level]);
    onTestFinished(() => child.kill());
    child.signal("SIGUSR2");
    await eventually(() => child.stderr().includes('"status"'));
    const lines = child
      .stderr()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const serving = lines.filter(({ msg }) => msg === "serving");
    expect(serving).toHaveLength(said);
    for (const line of serving) expect(line).toMatchObject({ level: "info", address: child.address });
    expect(lines).toHaveLength(said + 1);
  }
});

test("a server tells on SIGUSR2 what it has open, whatever its log level", async () => {
  const data = makeDataDir();
  onTestFinished(data.remove);
  const child = await startServe(data.path, ["--log-level", "silent"]);
  onTestFinished(() => child.kill());
  const statuses = () =>
    child
      .stderr()
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line));

  const [token] = await logIn(child.address, ["alice"]);
  const alice = connect(child.address, token);
  onTestFinished(alice.close);
  const stream = alice.stream();
  await stream.open();
  child.signal("SIGUSR2");
  await eventually(() => statuses().length === 1);
  const positive = expect.toSatisfy((value: number) => value > 0);
  expect(statuses()[0]).toMatchObject({
    level: "info",
    msg: "status",
    sessions: 1,
    users: 1,
    groups: 0,
    calls: 1,
    rssBytes: positive,
    heapUsedBytes: positive,
    externalBytes: positive,
    eventLoopDelayMs: expect.any(Number),
    activeHandles: positive,
  });

  stream.cancel();
  await eventually(() => {
    child.signal("SIGUSR2");
    return statuses().at(-1).sessions === 0;
  });
  child.signal("SIGTERM");
  expect(await child.exited).toBe(0);
});

test("a server whose certificate cannot be read says so in one line and ends", async () => {
  const none = join(folder, "none.pem");
  const tls = ["--tls-cert-file", none, "--tls-key-file", none];
  const { stdout, stderr, code } = await run("serve", "--port", "0", "--data-dir", folder, ...tls);
  expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
  expect(stderr).toMatch(/^parlance: the service cannot start: .*none\.pem.*; .*settings\.md.*\n$/);
});

test("a command that lacks an argument says in one line what, and where to look", async () => {
  const { stdout, stderr, code } = await run("send", "--as", "alice", "--to", "bob");
  expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
  expect(stderr).toMatch(/^parlance: .*TEXT.*--help.*\n$/);
});
