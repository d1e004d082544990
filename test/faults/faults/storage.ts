/** Faults of the store: of its disk, its files and its schema. */

import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { schemaVersion } from "../../../src/store/sqlite/file/migrations.ts";
import { createSqliteStore } from "../../../src/store/sqlite/sqlite-store.ts";
import { makeDataDir } from "../../support/serve-child.ts";
import type { Violation } from "../checker/violation.ts";
import { applyPowerCut, createIoShim, missingIoShim } from "../disturb/io-shim.ts";
import { dumpStore } from "../dump.ts";
import type { Fault } from "../fault.ts";
import { ms, percentile } from "../figures.ts";
import type { FaultServer } from "../server.ts";
import { failingStoreFaults } from "./failing-store.ts";

const run = promisify(execFile);
const main = fileURLToPath(new URL("../../../src/main.ts", import.meta.url));

/** Runs a command of `parlance` on a server's data and returns what it prints. */
async function parlance(server: FaultServer, ...args: string[]): Promise<Record<string, unknown>> {
  const command = [main, ...args, "--data-dir", server.dataDir, "--json"];
  const { stdout } = await run(process.execPath, command, { env: { ...process.env, NODE_OPTIONS: "" } });
  return JSON.parse(stdout) as Record<string, unknown>;
}

const powerCut: Fault = {
  id: "S4",
  name: "power-cut",
  title: "the power fails: of what was not synced, any sector may be on the disk or not",
  figureTitle: "acknowledged messages lost",
  ci: true,
  missing: missingIoShim,
  async run(context) {
    const rounds = context.scale(4, 30);
    const data = makeDataDir();
    context.defer(data.remove);
    const shim = createIoShim({ dir: data.path, keepDurable: true });
    context.defer(shim.close);
    const server = await context.serve({ dataDir: data.path, env: shim.env });
    const storm = await context.storm({ address: server.address });
    const startMs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await context.pause(300, context.scale(900, 2_000));
      await server.kill();
      // From nothing of it to all of it.
      const share = context.random() < 0.3 ? 0 : context.random();
      applyPowerCut(data.path, () => context.random() < share);
      startMs.push(await server.start());
    }
    await delay(200);
    const { fsyncs } = shim.counts();
    const violations = await context.conclude(server);
    const lost = violations.filter(({ rule }) => rule === "I1").length;
    return {
      rounds,
      violations,
      figure: `${lost} of ${storm.acknowledged} acknowledged messages lost; ${fsyncs} fsyncs; listening again after p50 ${ms(percentile(startMs, 50))}`,
    };
  },
};

const backupAndRestore: Fault = {
  id: "S9",
  name: "backup-restore",
  title: "backups are made during a storm; an older one is restored",
  figureTitle: "clients that learned of it / all",
  ci: true,
  async run(context) {
    const rounds = context.scale(3, 10);
    const server = await context.serve();
    const storm = await context.storm({ address: server.address });
    const files: string[] = [];
    context.defer(() => {
      for (const file of files) rmSync(file, { force: true });
    });
    const violations: Violation[] = [];
    const sizes: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await context.pause(200, 800);
      const file = join(server.dataDir, `backup-${round}.db`);
      files.push(file);
      sizes.push(Number((await parlance(server, "backup", file))["lastPosition"]));
    }
    await storm.stop();
    await server.terminate();

    // Each backup is the log up to some moment, whole.
    const store = await createSqliteStore({ path: server.dataFile });
    const { events } = await dumpStore(store);
    await store.close();
    for (const [n, file] of files.entries()) {
      const copy = await createSqliteStore({ path: file });
      const copied = await dumpStore(copy);
      await copy.close();
      rmSync(`${file}.lock`, { force: true });
      const same = copied.events.every((event, i) => JSON.stringify(event) === JSON.stringify(events[i]));
      if (!same || copied.events.length !== sizes[n])
        violations.push({ rule: "I3", text: `backup ${n} is not the log up to position ${sizes[n]}` });
    }

    await parlance(server, "restore", files[0] as string);
    await server.start();
    violations.push(...(await context.conclude(server, { restored: true })));
    const told = storm.histories.filter(({ entries }) =>
      entries.some(
        (entry) =>
          (entry.type === "error" && entry.error.reason === "CURSOR_OF_ANOTHER_EPOCH") ||
          (entry.type === "end" && entry.closed === "RESET"),
      ),
    ).length;
    if (told < storm.histories.length)
      violations.push({
        rule: "I7",
        text: `${told} of ${storm.histories.length} clients were told to start over`,
      });
    return {
      rounds,
      violations,
      figure: `${rounds} backups of ${sizes.join(", ")} events under load, each a whole prefix of the log; ${told} of ${storm.histories.length} clients told to start over after the restore`,
    };
  },
};

const migrationKill: Fault = {
  id: "S15",
  name: "migration-kill",
  title: "the process dies right before and right after each step of the schema is committed",
  figureTitle: "steps tested",
  ci: true,
  async run(context) {
    const violations: Violation[] = [];
    let rounds = 0;
    for (let step = 1; step <= schemaVersion; step++) {
      for (const place of ["migration.before-commit", "migration.after-commit"]) {
        rounds++;
        const data = makeDataDir();
        context.defer(data.remove);
        const failing = context.serve({ dataDir: data.path, failPoints: `${place}=exit@${step}` });
        const died = await failing.then(
          () => false,
          () => true,
        );
        if (!died) violations.push({ rule: "run", text: `${place}@${step} was not reached` });
        const server = await context.serve({ dataDir: data.path });
        await server.terminate();
        violations.push(...(await context.judge(server, [])));
      }
    }
    return { rounds, violations, figure: `${schemaVersion} steps, each before and after its commit` };
  },
};

/** Faults of the store. */
export const storageFaults: readonly Fault[] = [
  ...failingStoreFaults,
  powerCut,
  backupAndRestore,
  migrationKill,
];
