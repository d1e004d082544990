import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunningServer } from "../../src/host/server.ts";
import { serve, temporaryFolder, until } from "../sdk/server.ts";

const main = new URL("../../src/main.ts", import.meta.url).pathname;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: RunningServer;

beforeAll(async () => {
  folder = await temporaryFolder();
  server = await serve(folder.path);
});

afterAll(async () => {
  await server.close();
  await folder.remove();
});

function start(...args: string[]): {
  child: ChildProcessWithoutNullStreams;
  out: () => string;
  err: () => string;
} {
  const child = spawn(process.execPath, [main, ...args]);
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  return { child, out: () => out, err: () => err };
}

async function run(...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const { child, out, err } = start(...args);
  const code = await new Promise((resolve) => child.once("close", resolve));
  return { code, out: out(), err: err() };
}

test("what one sends, the other's tail prints, as lines and as JSON", async () => {
  const { address } = server;
  const lines = start("tail", "--as", "bob", "--server", address);
  const objects = start("tail", "--as", "bob", "--server", address, "--device", "other", "--json");
  await until(() => lines.out().includes("live") && objects.out().includes("caughtUp"), "both are live");

  const sent = await run("send", "--as", "alice", "--to", "bob", "--server", address, "two\nlines \u001b[2J");
  expect(sent).toMatchObject({ code: 0, err: "" });
  expect(sent.out).toMatch(/^[0-9a-f-]{36} is number 1 of d:alice:bob\n$/);

  await until(() => lines.out().includes("alice") && objects.out().includes("alice"), "both print it");
  expect(lines.out().split("\n")).toContain("d:alice:bob 1 alice: two\\nlines \\u001b[2J");
  const [object] = objects
    .out()
    .split("\n")
    .filter((line) => line.startsWith('{"message"'));
  expect(JSON.parse(object ?? "")).toMatchObject({
    message: { conversationId: "d:alice:bob", seq: "1", content: { text: { body: "two\nlines \u001b[2J" } } },
    cursor: { position: "1" },
  });

  for (const { child, err } of [lines, objects]) {
    const exited = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGINT");
    expect(await exited).toBe(0);
    expect(err()).toBe("");
  }
});

test("a tail whose reader goes away ends without a word once it has something to say", async () => {
  const { address } = server;
  const { child, out, err } = start("tail", "--as", "carol", "--server", address);
  await until(() => out().includes("live"), "it is live");
  const exited = new Promise((resolve) => child.once("close", resolve));
  child.stdout.destroy();
  expect(await run("send", "--as", "alice", "--to", "carol", "--server", address, "hi")).toMatchObject({
    code: 0,
  });
  expect(await exited).toBe(0);
  expect(err()).toBe("");
});

test.each([
  ["--help", 0],
  ["token", 2],
  ["check", 1],
])(
  "a command whose reader has gone away (%s) has the exit code of what it did, and no stack",
  async (name, code) => {
    const { child, err } = start(name, ...(name === "check" ? ["--data-dir", `${folder.path}/none`] : []));
    child.stdout.destroy();
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(code);
    expect(err()).not.toMatch(/EPIPE|^ +at /m);
  },
);

test("what cannot be done is said in one line with the way out", async () => {
  const { address } = server;
  const refused = await run("send", "--as", "alice", "--group", "nowhere", "--server", address, "hi");
  expect(refused).toMatchObject({ code: 1, out: "" });
  expect(refused.err).toMatch(/^parlance: .*GROUP_NOT_FOUND.*\n$/);

  const absent = await run("tail", "--as", "bob", "--server", "127.0.0.1:1");
  expect(absent).toMatchObject({ code: 1, out: "" });
  expect(absent.err).toMatch(/^parlance: no Parlance at 127\.0\.0\.1:1; start one with `npm start`.*\n$/);

  const nobody = await run("send", "--to", "bob", "hi");
  expect(nobody).toMatchObject({ code: 2, out: "" });
  expect(nobody.err).toMatch(/^parlance: nobody is named; .*--as.*\n$/);

  const badToken = await run("tail", "--token", "x.y.z", "--server", address);
  expect(badToken).toMatchObject({ code: 1, out: "" });
  expect(badToken.err.trimEnd().split("\n")).toHaveLength(1);
});
