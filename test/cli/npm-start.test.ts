import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { makeDataDir } from "../support/serve-child.ts";

interface NpmStart {
  npm: ChildProcess;
  log: () => string;
  /** Resolves once everybody who writes to the outputs of npm has ended, the server among them. */
  ended: Promise<unknown>;
}

/** Runs `npm start` as a terminal does: in a process group of its own, which Ctrl-C goes to. */
async function npmStart(): Promise<NpmStart> {
  const data = makeDataDir();
  onTestFinished(data.remove);
  // Without `prestart`, which builds the web page.
  const args = [
    "start",
    "--ignore-scripts",
    "--",
    "--port",
    "0",
    "--http-port",
    "0",
    "--data-dir",
    data.path,
  ];
  const npm = spawn("npm", args, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  npm.stderr.on("data", (chunk) => {
    log += chunk;
  });
  npm.stdout.resume();
  const ended = once(npm, "close");
  onTestFinished(async () => {
    toGroup(npm, "SIGKILL");
    await ended;
  });
  await eventually(() => log.includes('"serving"'));
  return { npm, log: () => log, ended };
}

function toGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-(pid as number), signal);
  } catch {
    // All of it has ended.
  }
}

test("SIGTERM to `npm start` stops the server in order, and npm waits for it", async () => {
  const { npm, log, ended } = await npmStart();
  npm.kill("SIGTERM");
  await ended;
  expect(log()).toContain('"stopped"');
  expect(npm.exitCode).toBe(0);
});

test("Ctrl-C, which the terminal and npm both pass on, stops the server of `npm start` in order", async () => {
  const { npm, log, ended } = await npmStart();
  toGroup(npm, "SIGINT");
  await ended;
  expect(log()).toContain('"stopped"');
  expect(log()).not.toContain("second signal");
});
