/** Faults in which the store cannot write for a while: nothing may be answered that is not stored, and reads go on. */

import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { type Connection, connect, logIn } from "../../support/connect.ts";
import { makeDataDir } from "../../support/serve-child.ts";
import type { Violation } from "../checker/violation.ts";
import type { FaultContext } from "../context.ts";
import { createIoShim, type IoFaults, missingIoShim } from "../disturb/io-shim.ts";
import { createSmallDisk, missingSmallDisk } from "../disturb/small-disk.ts";
import type { Fault } from "../fault.ts";
import { ms, percentile } from "../figures.ts";
import { watchHealth } from "../health-watch.ts";
import type { History } from "../history.ts";
import type { FaultServer } from "../server.ts";
import { answerTimes, type Period } from "../timings.ts";

/** What a fault does to the store. */
interface Breaking {
  break: () => void;
  mend: () => void;
  /** The reason that sends are refused with meanwhile. */
  reason: string;
}

/** How long a failing store may take to be seen by health, and to be seen working again. */
const healthMs = 5_000;

/**
 * Breaks the store under a storm and mends it, several times, and checks what
 * must hold meanwhile: health says no, sends get the right reason, nothing is
 * answered, reads go on; and afterwards all is well without a restart.
 */
async function breakAndMend(
  context: FaultContext,
  server: FaultServer,
  { break: breakStore, mend, reason }: Breaking,
) {
  const rounds = context.scale(1, 5);
  const violations: Violation[] = [];
  const storm = await context.storm({ address: server.address });
  const health = watchHealth(context, server.address);
  const [token] = await logIn(server.address, ["raw-0"], "reader");
  const reader = connect(server.address, token);
  context.defer(reader.close);
  const recoveryMs: number[] = [];
  let answeredMeanwhile = 0;
  let refused = 0;
  await delay(1_000);
  for (let round = 0; round < rounds; round++) {
    breakStore();
    if ((await health.until(false, healthMs)) === undefined)
      violations.push({ rule: "I14", text: `health did not say NOT_SERVING within ${ms(healthMs)}` });
    const fromMs = performance.now();
    await delay(context.scale(1_500, 4_000));
    violations.push(...(await readMeanwhile(reader)));
    const period = { fromMs, toMs: performance.now() };
    mend();
    const tookMs = await health.until(true, 10_000);
    if (tookMs === undefined)
      violations.push({
        rule: "I12",
        text: "health did not say SERVING within 10 s after the store was mended",
      });
    else recoveryMs.push(tookMs);
    answeredMeanwhile += newAnswers(storm.histories, period);
    refused += refusals(storm.histories, period, reason);
    await delay(500);
  }
  if (answeredMeanwhile > 0)
    violations.push({
      rule: "I1",
      text: `${answeredMeanwhile} new messages were answered while nothing could be stored`,
    });
  if (refused === 0) violations.push({ rule: "I14", text: `no send was refused with ${reason}` });
  violations.push(...(await context.conclude(server, { allowReasons: [reason] })));
  return {
    rounds,
    violations,
    figure: `${answeredMeanwhile} answered while failing, ${refused} refused with ${reason}; works again after ${ms(Math.max(0, ...recoveryMs))} at most, without a restart`,
  };
}

/** Reads a user's conversations, which needs no writing. */
async function readMeanwhile(reader: Connection): Promise<Violation[]> {
  try {
    const { conversations } = await reader.conversations.listConversations(
      {},
      { signal: AbortSignal.timeout(2_000) },
    );
    if (conversations.length > 0) return [];
    return [{ rule: "I12", text: "no conversation was listed while the store could not write" }];
  } catch (error) {
    return [{ rule: "I12", text: `reading failed while the store could not write: ${error}` }];
  }
}

/** How many messages were answered in a period as stored for the first time. */
function newAnswers(histories: readonly History[], { fromMs, toMs }: Period): number {
  return count(
    histories,
    (entry) => entry.type === "ok" && entry.duplicate === false && entry.atMs >= fromMs && entry.atMs < toMs,
  );
}

function refusals(histories: readonly History[], { fromMs, toMs }: Period, reason: string): number {
  return count(
    histories,
    (entry) =>
      (entry.type === "unknown" || entry.type === "fail") &&
      entry.error.reason === reason &&
      entry.atMs >= fromMs &&
      entry.atMs < toMs,
  );
}

function count(histories: readonly History[], fits: (entry: History["entries"][number]) => boolean): number {
  return histories.reduce((sum, { entries }) => sum + entries.filter(fits).length, 0);
}

/** Breaks a store by what a shim does to its files. */
async function breakByShim(context: FaultContext, faults: Partial<IoFaults>, reason: string) {
  const data = makeDataDir();
  context.defer(data.remove);
  const shim = createIoShim({ dir: data.path, seed: context.seed });
  context.defer(shim.close);
  const server = await context.serve({ dataDir: data.path, env: shim.env });
  const outcome = await breakAndMend(context, server, {
    break: () => shim.set(faults),
    mend: shim.clear,
    reason,
  });
  const { failedFsyncs, failedWrites } = shim.counts();
  return {
    ...outcome,
    figure: `${outcome.figure}; ${failedFsyncs} fsyncs and ${failedWrites} writes failed`,
  };
}

const diskFull: Fault = {
  id: "S1",
  name: "disk-full",
  title: "the disk is full, and has room again later",
  figureTitle: "sends refused, time to recover",
  ci: true,
  missing: missingSmallDisk,
  async run(context) {
    const disk = createSmallDisk(64 * 1_048_576);
    context.defer(disk.close);
    const server = await context.serve({ dataDir: disk.path });
    return breakAndMend(context, server, {
      break: () => disk.fill(),
      mend: disk.free,
      reason: "STORAGE_FULL",
    });
  },
};

const fsyncFails: Fault = {
  id: "S2",
  name: "fsync-fails",
  title: "every fsync fails with EIO for a while",
  figureTitle: "messages answered meanwhile, time to recover",
  ci: true,
  missing: missingIoShim,
  run: (context) => breakByShim(context, { fsyncError: "EIO" }, "STORE_UNAVAILABLE"),
};

const writesFail: Fault = {
  id: "S3",
  name: "writes-fail",
  title: "writes fail with EIO or write only half, for a while",
  figureTitle: "messages answered meanwhile, time to recover",
  ci: false,
  missing: missingIoShim,
  run: (context) => breakByShim(context, { writeError: "EIO", shortWritePercent: 30 }, "STORE_UNAVAILABLE"),
};

const lockHeld: Fault = {
  id: "S7",
  name: "lock-held",
  title: "another process holds the lock of the database for 5 s",
  figureTitle: "messages answered meanwhile, time to recover",
  ci: false,
  async run(context) {
    const server = await context.serve();
    let other: DatabaseSync | undefined;
    context.defer(() => other?.close());
    const outcome = await breakAndMend(context, server, {
      break() {
        other = new DatabaseSync(server.dataFile);
        other.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
      },
      mend() {
        other?.close();
        other = undefined;
      },
      reason: "STORE_UNAVAILABLE",
    });
    return outcome;
  },
};

const slowFsync: Fault = {
  id: "S8",
  name: "slow-fsync",
  title: "every fsync takes 200 ms longer",
  figureTitle: "messages per second, p99 of answers",
  ci: false,
  missing: missingIoShim,
  async run(context) {
    const data = makeDataDir();
    context.defer(data.remove);
    const shim = createIoShim({ dir: data.path });
    context.defer(shim.close);
    const server = await context.serve({ dataDir: data.path, env: shim.env });
    const storm = await context.storm({ address: server.address });
    await delay(2_000);
    const before = storm.acknowledged;
    shim.set({ fsyncDelayMs: 200 });
    const period = { fromMs: performance.now(), toMs: performance.now() + 10_000 };
    await delay(10_000);
    const perSecond = (storm.acknowledged - before) / 10;
    shim.clear();
    const violations = await context.conclude(server);
    const p99 = percentile(answerTimes(storm.histories, period), 99);
    // One message per commit would be 5 a second.
    if (perSecond < 50)
      violations.push({ rule: "I12", text: `only ${perSecond} messages/s: commits do not gather messages` });
    return { rounds: 1, violations, figure: `${Math.round(perSecond)} messages/s answered, p99 ${ms(p99)}` };
  },
};

/** Faults in which the store cannot write for a while. */
export const failingStoreFaults: readonly Fault[] = [diskFull, fsyncFails, writesFail, lockHeld, slowFsync];
