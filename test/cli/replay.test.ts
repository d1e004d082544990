import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { type ChatMessage, ChatMessageSchema } from "../../gen/parlance/chat/v1/message_pb.js";
import { parseIrcDay } from "../../src/cli/replay/irc.ts";
import { Latencies } from "../../src/cli/replay/latencies.ts";
import { Ledger, type Tally } from "../../src/cli/replay/ledger.ts";
import { runReplay } from "../../src/cli/replay/replay.ts";
import { isClean } from "../../src/cli/replay/report.ts";
import { serveApart } from "../sdk/server.ts";

const main = new URL("../../src/main.ts", import.meta.url).pathname;
const realDay = new URL("../../../shared/data/ubuntu-irc/2007-06-17.txt", import.meta.url).pathname;

const day = [
  "=== alice [n=a@example.org]  has joined #test",
  "=== bob [n=b@example.org]  has joined #test",
  "[10:00] <alice> hello",
  "[10:00] <bob> alice: hi \u0003 é ",
  "[10:01] <carol> was here before",
  "=== bob [n=b@example.org]  has left #test []",
  "[10:02] <alice> bob, are you there?",
  "[10:02]  * carol waves",
  "=== bob [n=b@example.org]  has joined #test",
  "[10:03] <bob> back",
  "=== carol is now known as carol_",
  "[10:04] <alice> carol: and carol_?",
  "[10:05] <carol_> ",
  "",
].join("\n");

describe("a small day", () => {
  test("is delivered whole, twice on the same server", async () => {
    const folder = await mkdtemp(join(tmpdir(), "parlance-replay-"));
    const server = await serveApart(folder);
    try {
      for (let run = 0; run < 2; run++) {
        const report = await runReplay([{ name: "day", day: parseIrcDay(day) }], { address: server.address });
        expect(report).toMatchObject({
          users: 4,
          group_messages: 7,
          direct_messages: 3,
          // To the group: 1 + 1 + 2 + 1 + 1 + 2 + 2.
          deliveries_expected: 13,
          deliveries_received: 13,
        });
        expect(isClean(report)).toBe(true);
      }
    } finally {
      await server.kill();
      await rm(folder, { recursive: true });
    }
  });

  test("is printed as one JSON object and nothing else", async () => {
    const folder = await mkdtemp(join(tmpdir(), "parlance-replay-"));
    const file = join(folder, "2001-02-03.txt");
    await writeFile(file, day);
    const { code, stdout, stderr } = await parlance("replay", "--json", file);
    expect(code).toBe(0);
    expect(stderr).toBe("2001-02-03: 4 users, 7 to the group, 3 direct, 1 empty lines left out\n");
    const report = JSON.parse(stdout) as Record<string, number>;
    expect(Object.keys(report)).toEqual([
      "users",
      "group_messages",
      "direct_messages",
      "deliveries_expected",
      "deliveries_received",
      "missing",
      "duplicated",
      "out_of_order",
      "content_mismatches",
      "elapsed_seconds",
      "deliveries_per_second",
      "p50_ms",
      "p99_ms",
    ]);
    expect(report).toMatchObject({ missing: 0, duplicated: 0, out_of_order: 0, content_mismatches: 0 });
    await rm(folder, { recursive: true });
  });
});

test("a server that is killed during a day loses and repeats nothing", async () => {
  const lines = Array.from({ length: 400 }, (_, index) => `[10:00] <nick${index % 7}> line ${index}`);
  const folder = await mkdtemp(join(tmpdir(), "parlance-replay-"));
  const server = await serveApart(folder);
  try {
    let steps = 0;
    let restarts = 0;
    const progress = {
      begin() {},
      end() {},
      step() {
        if (++steps % 150 !== 0) return;
        restarts++;
        void server.kill().then(() => server.start());
      },
    };
    const options = { address: server.address, progress };
    const report = await runReplay([{ name: "day", day: parseIrcDay(lines.join("\n")) }], options);
    expect(restarts).toBe(2);
    expect(report.group_messages).toBe(400);
    expect(isClean(report)).toBe(true);
  } finally {
    await server.kill();
    await rm(folder, { recursive: true });
  }
});

test("300 lines of a real day are delivered whole", async (context) => {
  if (!existsSync(realDay)) {
    process.stderr.write("skipped: ../shared/data/ubuntu-irc is not there\n");
    return context.skip("../shared/data/ubuntu-irc is not there");
  }
  const lines = readFileSync(realDay, "utf8").split("\n").slice(0, 300).join("\n");
  const report = await runReplay([{ name: "2007-06-17", day: parseIrcDay(lines) }]);
  expect(report.deliveries_received).toBeGreaterThan(8_000);
  expect(isClean(report)).toBe(true);
});

describe("the command", () => {
  test("says in one line that there is no server, and ends with 1", async () => {
    const file = join(tmpdir(), `parlance-day-${process.pid}.txt`);
    await writeFile(file, day);
    const { code, stdout, stderr } = await parlance("replay", "--server", "127.0.0.1:1", file);
    await rm(file);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toBe(
      "parlance: no Parlance at 127.0.0.1:1; start one with `npm start`, or say where it is with --server\n",
    );
  });

  test("says in one line which file it cannot read", async () => {
    const { code, stderr } = await parlance("replay", "/no/such/file");
    expect(code).toBe(1);
    expect(stderr).toBe("parlance: /no/such/file cannot be read (ENOENT); give the paths of IRC logs\n");
  });
});

describe("the ledger", () => {
  const tally = (): Tally => ({
    expected: 0,
    received: 0,
    duplicated: 0,
    outOfOrder: 0,
    contentMismatches: 0,
  });

  function message(clientMessageId: string, seq: number, body = "text", senderId = "alice"): ChatMessage {
    const content = { kind: { case: "text" as const, value: { body } } };
    return create(ChatMessageSchema, {
      clientMessageId,
      seq: BigInt(seq),
      content,
      senderId,
      conversationId: "g:g",
    });
  }

  test("finds every kind of wrong delivery", () => {
    const ledger = new Ledger(4, "run", tally(), new Latencies());
    const first = ledger.expect("text", 0, "alice", [0, 1, 2]);
    const second = ledger.expect("text", 0, "alice", [0, 1, 2]);
    ledger.answered(first, 1);
    ledger.answered(second, 2);
    // Its own copy is neither expected nor wrong.
    ledger.receive(0, message(first, 1));
    expect(ledger.tally).toMatchObject({ expected: 4, received: 0, duplicated: 0 });

    ledger.receive(1, message(second, 2));
    ledger.receive(1, message(first, 1));
    expect(ledger.tally.outOfOrder).toBe(1);
    ledger.receive(1, message(first, 1));
    expect(ledger.tally.duplicated).toBe(1);
    ledger.receive(3, message(first, 1));
    expect(ledger.tally.duplicated).toBe(2);
    ledger.receive(2, message(first, 1, "text "));
    expect(ledger.tally.contentMismatches).toBe(1);
    ledger.receive(2, message("of another run", 5));
    expect(ledger.tally.duplicated).toBe(3);
    expect(ledger.outstanding).toBe(1);
    ledger.receive(2, message(second, 3));
    expect(ledger.tally.outOfOrder).toBe(2);
    expect(ledger.outstanding).toBe(0);
  });
});

function parlance(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [main, ...args]);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, stdout, stderr })));
}
