import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { describeUnless, testUnless } from "../../support/describe-unless.ts";
import { eventually } from "../../support/eventually.ts";
import { exitOf } from "../../support/serve-child.ts";
import { createClock, missingClock } from "./clock.ts";
import { createIoShim, missingIoShim } from "./io-shim.ts";
import { joinEnv } from "./needs.ts";

const missing = missingClock();
const closers: (() => unknown)[] = [];
const hourMs = 3_600_000;

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Prints its clocks, by a timer. */
const ticker = `
  const { fsyncSync, openSync } = require("node:fs");
  const file = process.argv[1] && openSync(process.argv[1], "w");
  setInterval(() => {
    console.log(JSON.stringify({ wallMs: Date.now(), monotonicMs: performance.now() }));
    if (file) fsyncSync(file);
  }, 20);
`;

describeUnless(missing, "a clock", () => {
  test("jumps while a process runs, and its timers go on as if nothing was", async () => {
    const clock = createClock();
    closers.push(clock.close);
    const ticks = startTicker(clock.env);
    await eventually(() => ticks().length > 3);
    expect(Math.abs((ticks().at(-1) as Tick).wallMs - Date.now())).toBeLessThan(hourMs / 10);

    for (const [offset, byMs] of [
      ["+3600s", hourMs],
      ["-3600s", -hourMs],
    ] as const) {
      clock.setOffset(offset);
      const before = ticks().length;
      await eventually(() => ticks().length > before + 3);
      const { wallMs } = ticks().at(-1) as Tick;
      expect(Math.abs(wallMs - Date.now() - byMs)).toBeLessThan(hourMs / 10);
    }
    const monotonic = ticks().map(({ monotonicMs }) => monotonicMs);
    expect(monotonic).toEqual([...monotonic].sort((a, b) => a - b));
    expect((monotonic.at(-1) as number) - (monotonic[0] as number)).toBeLessThan(hourMs / 10);
  });

  testUnless(missingIoShim(), "works together with the shim of files", async () => {
    const clock = createClock();
    const dir = mkdtempSync(join(tmpdir(), "parlance-files-"));
    const shim = createIoShim({ dir });
    closers.push(
      () => rmSync(dir, { recursive: true }),
      () => shim.close(),
      () => clock.close(),
    );
    clock.setOffset("+3600s");
    const ticks = startTicker(joinEnv(clock.env, shim.env), join(dir, "file"));
    await eventually(() => ticks().length > 3 && shim.counts().fsyncs > 0);
    expect((ticks().at(-1) as Tick).wallMs - Date.now()).toBeGreaterThan(hourMs / 2);
  });
});

interface Tick {
  wallMs: number;
  monotonicMs: number;
}

function startTicker(env: Record<string, string>, ...args: string[]): () => Tick[] {
  const child = spawn(process.execPath, ["-e", ticker, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_OPTIONS: "", ...env },
  });
  const exited = exitOf(child);
  closers.push(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  return () =>
    output
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Tick);
}
