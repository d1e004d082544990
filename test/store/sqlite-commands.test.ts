import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/model/clock.ts";
import type { Thread } from "../../src/store/sqlite/commands.ts";
import { WorkerChannel } from "../../src/store/sqlite/thread/channel.ts";

const folder = mkdtempSync(join(tmpdir(), "parlance-commands-"));
const shared = () => new Int32Array(new SharedArrayBuffer(4));
const workerData = {
  path: join(folder, "chat.db"),
  maxFileBytes: Number.MAX_SAFE_INTEGER,
  checkpointDue: shared(),
  epochDue: shared(),
  commits: shared(),
  clock: systemClock.shared,
};
const channels = (["writer", "reader"] as const).map(
  (thread: Thread) =>
    new WorkerChannel<Thread>({
      url: new URL(`../../src/store/sqlite/thread/${thread}.ts`, import.meta.url),
      workerData,
      maxWaiting: 100,
      maxWaitingBytes: 1e6,
      maxBatch: 10,
      receive: (_, value) => value,
      onCrash: (error) => {
        throw error;
      },
    }),
);
const [writer, reader] = channels as [WorkerChannel<Thread>, WorkerChannel<Thread>];

beforeAll(async () => {
  // The writer makes the file.
  await writer.start();
  await reader.start();
});
afterAll(async () => {
  for (const channel of channels) await channel.stop();
  rmSync(folder, { recursive: true });
});

test.each([
  ["a reading command that went to the writer", writer, "lastPosition"],
  ["a writing command that went to the reader", reader, "setLastActive"],
  ["a command that nobody has", writer, "forgetEverything"],
  ["a name that every object has", writer, "toString"],
])("%s fails, and does not look as if it had been done", async (_, channel, name) => {
  await expect(channel.call(name as "probe", [])).rejects.toThrow(`this worker has no command ${name}`);
});

test("what goes with such a command in one batch is done", async () => {
  const nonsense = writer.call("nonsense" as "probe", []);
  const active = writer.call("setLastActive", [[{ userId: "a", timeMs: 7 }]]);
  await expect(nonsense).rejects.toThrow("no command");
  await active;
  expect(await reader.call("getLastActive", [["a"]])).toEqual(new Map([["a", 7]]));
});
