import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { backup, restore } from "../../src/host/maintenance.ts";
import { createParlance, createSqliteStore } from "../../src/index.ts";
import { connect, logIn } from "../support/connect.ts";
import { makeDataDir, startServe } from "../support/serve-child.ts";
import { text } from "../support/server.ts";

/** Runs a server as somebody does whose umask hides nothing. */
const openUmask = { wrapper: ["sh", "-c", 'umask 000; exec "$@"', "sh"] };

const rightsOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

function rightsIn(folder: string): Record<string, string> {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, rightsOf(join(folder, name))]));
}

async function serveOneMessage(dataDir: string) {
  const child = await startServe(dataDir, [], openUmask);
  onTestFinished(child.kill);
  const [token] = await logIn(child.address, ["alice"]);
  const alice = connect(child.address, token);
  onTestFinished(alice.close);
  await alice.chat.sendDirect({ recipientId: "bob", content: text("between us") });
  return child;
}

test("what a server, a backup and a restore make is the user's alone, whatever the umask", async () => {
  const { path: folder, remove } = makeDataDir();
  onTestFinished(remove);
  const umask = process.umask(0);
  onTestFinished(() => void process.umask(umask));
  const dataDir = join(folder, "deep", "data");
  const child = await serveOneMessage(dataDir);
  expect(rightsOf(dataDir)).toBe("700");
  const made = rightsIn(dataDir);
  expect(Object.keys(made)).toEqual(
    expect.arrayContaining(["parlance.db", "parlance.db-shm", "parlance.db-wal"]),
  );
  for (const [name, rights] of Object.entries(made)) expect(rights, name).toBe("600");

  const file = join(folder, "backups", "today.db");
  backup({ dataDir, databaseUrl: undefined }, file);
  await child.kill();
  expect(rightsOf(join(folder, "backups"))).toBe("700");
  expect(rightsIn(join(folder, "backups"))).toEqual({ "today.db": "600" });
  // A copy on a disk that knows no rights, say.
  chmodSync(file, 0o666);
  const elsewhere = join(folder, "elsewhere");
  restore({ dataDir: elsewhere, databaseUrl: undefined }, file);
  expect(rightsOf(elsewhere)).toBe("700");
  expect(rightsIn(elsewhere)).toEqual({ "parlance.db": "600", "parlance.db.lock": "600" });
});

test.each([
  ":memory:",
  ":memory:/parlance.db",
  "file:chat.db",
  "file:///tmp/chat.db",
  "~",
  "~/chat.db",
  "~bob/chat.db",
  "",
])("a store at %j, which is no path, is refused and makes nothing", async (path) => {
  const { path: folder, remove } = makeDataDir();
  onTestFinished(remove);
  const before = readdirSync(".");
  const refusal = `the store cannot be at ${JSON.stringify(path)}: `;
  await expect(createSqliteStore({ path })).rejects.toThrow(refusal);
  await expect(createParlance({ store: path, auth: "dev" })).rejects.toThrow(refusal);
  const store = await createSqliteStore({ path: join(folder, "parlance.db") });
  await store.close();
  expect(() => backup({ dataDir: folder, databaseUrl: undefined }, path)).toThrow(refusal);
  expect(readdirSync(".")).toEqual(before);
});

test("folders and files that are there keep their rights", async () => {
  const { path: folder, remove } = makeDataDir();
  onTestFinished(remove);
  const dataDir = join(folder, "data");
  mkdirSync(dataDir);
  chmodSync(dataDir, 0o750);
  writeFileSync(join(dataDir, "parlance.db"), "");
  chmodSync(join(dataDir, "parlance.db"), 0o640);
  await serveOneMessage(dataDir);
  expect(rightsOf(dataDir)).toBe("750");
  expect(rightsIn(dataDir)).toMatchObject({ "parlance.db": "640", "parlance.db-wal": "640" });
});
