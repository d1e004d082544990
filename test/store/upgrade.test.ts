/** Stores that earlier versions wrote, in `test/fixtures`, and what this version makes of them. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { JsonValue } from "@bufbuild/protobuf";
import { describe, expect, onTestFinished, test } from "vitest";
import { failPointsVariable, testBuildFlag } from "../../src/fail-points.ts";
import { checkStore } from "../../src/store/sqlite/file/check.ts";
import { schemaVersion } from "../../src/store/sqlite/file/migrations.ts";
import { makeDataDir, startServe } from "../support/serve-child.ts";
import { startTestServer, text } from "../support/server.ts";
import { openFixture, unpackFixture } from "../support/store-fixture.ts";
import { type UserDevices, viewStore } from "../support/store-view.ts";

/** What is known of a fixture. */
interface Fixture {
  version: number;
  path: string;
  users: UserDevices[];
  /** Session tokens of the time: one that was kept, one that was logged out. */
  tokens: { kept: string; loggedOut: string };
  /** What users saw when it was made. */
  view: JsonValue;
}

const folder = join(import.meta.dirname, "../fixtures");
const fixtures: Fixture[] = readdirSync(folder)
  .filter((name) => /^store-v\d+\.db\.gz$/.test(name))
  .map((name) => {
    const path = join(folder, name);
    const version = Number(/\d+/.exec(name)?.[0]);
    return { version, path, ...JSON.parse(readFileSync(path.replace(/\.db\.gz$/, ".json"), "utf8")) };
  });

/** The rules a store breaks. */
function problemsOf(dataFile: string): string[] {
  return checkStore(dataFile).flatMap(({ rule, problems }) =>
    problems.map((problem) => `${rule}: ${problem}`),
  );
}

/** The version of the schema that a store has. */
function versionOf(dataFile: string): number {
  const database = new DatabaseSync(dataFile, { readOnly: true });
  try {
    return Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
  } finally {
    database.close();
  }
}

/** Has servers killed at each step of the schema in turn: right before its commit, then right after it. */
async function killAtEachStep(dataDir: string, fromVersion: number): Promise<void> {
  for (let version = fromVersion; version < schemaVersion; version++) {
    for (const [when, versionThen] of [
      ["before", version],
      ["after", version + 1],
    ] as const) {
      const env = { [failPointsVariable]: `migration.${when}-commit=exit@1` };
      const started = startServe(dataDir, [], { nodeArgs: [testBuildFlag], env });
      await expect(started).rejects.toThrow("serve ended with SIGKILL");
      expect(versionOf(join(dataDir, "parlance.db"))).toBe(versionThen);
    }
  }
}

test("there is a fixture of every schema version up to this one's", () => {
  const versions = Array.from({ length: schemaVersion }, (_, n) => n + 1);
  expect(fixtures.map(({ version }) => version).sort((a, b) => a - b)).toEqual(versions);
});

describe.each(fixtures)("a store of schema version $version", ({ version, path, users, tokens, view }) => {
  test("shows its users what it showed them then, and is sound", async () => {
    const { server, close } = await openFixture(path);
    onTestFinished(close);
    expect(problemsOf(server.server.dataFile)).toEqual([]);
    expect(await viewStore(server, users)).toEqual(view);
    expect(versionOf(server.server.dataFile)).toBe(schemaVersion);
  });

  test("goes on: repeats are known, new messages take the next seq, tokens stand as they stood", async () => {
    const { server, close } = await openFixture(path);
    onTestFinished(close);
    const alice = await server.login("alice");
    const send = { recipientId: "bob", content: text("Hello, Bob"), clientMessageId: "hello" };
    expect((await alice.chat.sendDirect(send)).result).toMatchObject({ seq: 1n, duplicate: true });
    const next = { ...send, clientMessageId: "next" };
    expect((await alice.chat.sendDirect(next)).result).toMatchObject({ seq: 4n, duplicate: false });

    const list = (token: string) =>
      server.as({ authorization: `Bearer ${token}` }).conversations.listConversations({});
    await expect(list(tokens.loggedOut)).rejects.toThrow("the session token is unknown or was logged out");
    // Ever since its time was over, the other is refused for that.
    await list(tokens.kept).catch(({ message }) => expect(message).toContain("the token has expired"));
    expect(problemsOf(server.server.dataFile)).toEqual([]);
  });

  test("is whole after kills before and after the commit of each step to this version", async () => {
    const { dataDir, remove } = unpackFixture(path);
    onTestFinished(remove);
    await killAtEachStep(dataDir, version);
    const server = await startTestServer({ dataDir });
    onTestFinished(() => server.close());
    expect(await viewStore(server, users)).toEqual(view);
    expect(problemsOf(server.server.dataFile)).toEqual([]);
  });
});

test("a new store whose first start was killed at any step is as good as any", async () => {
  const { path: dataDir, remove } = makeDataDir();
  onTestFinished(remove);
  await killAtEachStep(dataDir, 0);
  const server = await startTestServer({ dataDir });
  onTestFinished(() => server.close());
  const alice = await server.login("alice");
  const { result } = await alice.chat.sendDirect({ recipientId: "bob", content: text("first") });
  expect(result).toMatchObject({ seq: 1n, position: 1n });
  expect(problemsOf(server.server.dataFile)).toEqual([]);
});
