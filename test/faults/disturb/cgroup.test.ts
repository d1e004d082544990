import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { describeUnless } from "../../support/describe-unless.ts";
import { eventually } from "../../support/eventually.ts";
import { exitOf } from "../../support/serve-child.ts";
import { createCgroup, missingCgroup } from "./cgroup.ts";

const missing = missingCgroup();

describeUnless(missing, "a control group", () => {
  test("limits the processor time of a process, and gives it back", async () => {
    const { pid } = startLoop();
    const group = createCgroup(pid);
    group.limitCpu(5);
    await eventually(() => group.throttled() > 5);
    group.limitCpu(undefined);
    const before = group.throttled();
    const ticksBefore = ticksOf(pid);
    await eventually(() => ticksOf(pid) > ticksBefore + 20);
    expect(group.throttled() - before).toBeLessThan(2);
    group.close();
  });

  test("freezes a process, and lets it go when closed", async () => {
    const { pid } = startLoop();
    const group = createCgroup(pid);
    await eventually(() => ticksOf(pid) > 0);
    group.freeze();
    await eventually(async () => {
      const before = ticksOf(pid);
      await delay(200);
      return ticksOf(pid) === before;
    });
    expect(readFileSync(`/proc/${pid}/cgroup`, "utf8")).toContain("parlance-");
    const before = ticksOf(pid);
    group.close();
    await eventually(() => ticksOf(pid) > before);
    expect(readFileSync(`/proc/${pid}/cgroup`, "utf8")).not.toContain("parlance-");
  });
});

/** Starts a process that wants all of a processor. */
function startLoop(): { pid: number } {
  const child = spawn(process.execPath, ["-e", "for (;;);"], {
    stdio: "ignore",
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  const exited = exitOf(child);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  return { pid: child.pid as number };
}

/** How much processor time a process has had, in hundredths of a second. */
function ticksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
