/**
 * Runs inside a server, by `node --import`: keeps a CPU profile of each thread
 * of what happens between two messages of the parent process, `start` and
 * `stop`. What came before, when everything is set up and compiled, would hide
 * what matters.
 */

import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { join } from "node:path";
import { isMainThread, threadId } from "node:worker_threads";

const folder = process.env["PARLANCE_BENCH_PROFILE_DIR"] ?? ".";
const thread = isMainThread ? "main" : `worker${threadId}`;
/** How the main thread, which alone has a channel to the parent, tells the others. */
const threads = new BroadcastChannel("parlance-bench-profiler");
threads.unref();

const session = new Session();
session.connect();
await session.post("Profiler.enable");

async function obey(command: unknown): Promise<void> {
  if (command === "start") {
    await session.post("Profiler.start");
  } else if (command === "stop") {
    const { profile } = await session.post("Profiler.stop");
    writeFileSync(join(folder, `${process.pid}-${thread}.cpuprofile`), JSON.stringify(profile));
  }
}

if (isMainThread) {
  process.on("message", (command) => {
    threads.postMessage(command);
    void obey(command).then(() => process.send?.(command));
  });
  process.channel?.unref();
} else {
  threads.onmessage = (message) => void obey((message as MessageEvent).data);
}
