/** `npm run cluster`: a whole service by one command, of which nothing stays. */

import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWithCluster } from "../support/cluster.ts";
import { connect, logIn } from "../support/connect.ts";
import { eventually } from "../support/eventually.ts";
import { exitOf } from "../support/serve-child.ts";

let folder: string;
let child: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "parlance-command-"));
  // PostgreSQL does not run as root, and has to get into it.
  chmodSync(folder, 0o755);
});
afterEach(() => {
  child?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** Runs the command, with `folder` for its files. */
function run(args: readonly string[], env: Record<string, string> = {}) {
  const started = spawn(process.execPath, ["scripts/cluster.ts", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: folder, ...env },
  });
  child = started;
  const output = { stdout: "", stderr: "" };
  started.stdout.on("data", (chunk) => {
    output.stdout += chunk;
  });
  started.stderr.on("data", (chunk) => {
    output.stderr += chunk;
  });
  return { output, exited: exitOf(started), signal: (signal: NodeJS.Signals) => started.kill(signal) };
}

/** The processes that have files in `folder`, by their command lines. */
function processesThere(): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== child?.pid)
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        // It has ended meanwhile.
        return "";
      }
    })
    .filter((line) => line.includes(folder));
}

async function expectNothingLeft(): Promise<void> {
  await eventually(() => processesThere().length === 0);
  expect(readdirSync(folder).filter((name) => name.startsWith("parlance-"))).toEqual([]);
}

describeWithCluster("npm run cluster", () => {
  test("replays a day over all nodes, prints what came of it, and leaves nothing", async () => {
    const file = join(folder, "2001-02-03.txt");
    const lines = Array.from({ length: 40 }, (_, index) => `[10:00] <nick${index % 6}> line ${index}`);
    writeFileSync(file, lines.join("\n"));
    const { output, exited } = run(["--nodes", "2", "replay", "--json", file]);
    expect({ code: await exited, stderr: output.stderr }).toEqual({
      code: 0,
      stderr: [
        "Starting PostgreSQL, NATS and 2 nodes",
        "2001-02-03: 6 users, 40 to the group, 0 direct",
        "Stopping",
        "",
      ].join("\n"),
    });
    expect(JSON.parse(output.stdout)).toMatchObject({
      users: 6,
      group_messages: 40,
      missing: 0,
      duplicated: 0,
      out_of_order: 0,
      content_mismatches: 0,
      nodes: 2,
    });
    await expectNothingLeft();
  });

  test("stays until Ctrl-C, says where the nodes are, and leaves nothing", async () => {
    const { output, exited, signal } = run(["--nodes", "2"]);
    await eventually(() => output.stdout.includes("Ctrl-C"));
    const addresses = [...output.stdout.matchAll(/^node-\d: gRPC ([\d.:]+),/gm)].map(
      ([, address]) => address ?? "",
    );
    expect(addresses).toHaveLength(2);
    expect(processesThere().length).toBeGreaterThanOrEqual(4);
    // They are one service.
    const [token] = await logIn(addresses[0] ?? "", ["alice"]);
    const other = connect(addresses[1] ?? "", token);
    expect((await other.conversations.listConversations({})).conversations).toEqual([]);
    other.close();
    signal("SIGINT");
    expect(await exited).toBe(0);
    await expectNothingLeft();
  });

  test("that is interrupted while it starts leaves nothing", async () => {
    const { output, exited, signal } = run([]);
    await eventually(() => processesThere().some((line) => line.includes("main.ts serve")));
    signal("SIGTERM");
    await exited;
    expect(output.stdout).toBe("");
    await expectNothingLeft();
  });

  test("that cannot go on leaves nothing, and passes the exit code on", async () => {
    const { output, exited } = run(["--nodes", "1", "replay", join(folder, "none.txt")]);
    expect(await exited).toBe(1);
    expect(output.stderr).toContain("none.txt cannot be read");
    await expectNothingLeft();
  });
});

test("without the programs it needs it says what to install", async () => {
  const { output, exited } = run([], { PATH: join(folder, "empty") });
  expect(await exited).toBe(1);
  expect(output).toEqual({
    stdout: "",
    stderr: expect.stringMatching(/^cluster: .*`apt-get install [a-z-]+`\n$/),
  });
});

test.each([
  [["--help"], 0, /npm run cluster -- replay FILE/],
  [["--nodes", "0"], 2, /--nodes must be a whole number from 1 to 50, but is 0;/],
  [["--nodes"], 2, /--nodes must be/],
  [["start"], 2, /start is no option or command; .*--help/],
] as const)("%j says in words what it takes", async (args, code, words) => {
  const { output, exited } = run(args);
  expect(await exited).toBe(code);
  expect(code === 0 ? output.stdout : output.stderr).toMatch(words);
});
