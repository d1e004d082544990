/** Faults of clocks. */

import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import type { Violation } from "../checker/violation.ts";
import { RawClient } from "../clients/raw-client.ts";
import type { FaultContext } from "../context.ts";
import { createClock, missingClock } from "../disturb/clock.ts";
import type { Fault } from "../fault.ts";
import { ms } from "../figures.ts";
import { startPresenceWatch } from "../presence-watch.ts";

/** How long after they left users may be shown online. */
const presenceMs = 15_000;

/**
 * Sets the server's wall clock, time after time, under a storm: nobody may be
 * shown offline or lose a stream for it, and whoever leaves is shown offline in
 * time all the same.
 */
async function jump(context: FaultContext, offsets: readonly string[], startOffset = "+0s") {
  const clock = createClock();
  clock.setOffset(startOffset);
  context.defer(clock.close);
  const server = await context.serve({
    env: clock.env,
    // Ten years: that tokens end is another matter.
    args: ["--session-ttl-seconds", "315360000"],
  });
  const storm = await context.storm({ address: server.address, sdk: 20, raw: 10 });
  const watch = await startPresenceWatch(context, server.address, [
    ...storm.userIds,
    ...offsets.map((_, n) => `leaver-${n}`),
  ]);
  const violations: Violation[] = [];
  const offlineMs: number[] = [];
  const fromMs = performance.now();
  for (const [n, offset] of offsets.entries()) {
    const leaver = new RawClient({
      address: server.address,
      userId: `leaver-${n}`,
      random: context.random,
    });
    context.defer(() => leaver.close());
    await leaver.start();
    await watch.until(leaver.userId, true, fromMs, 5_000);
    const { sessions } = await server.status();
    await leaver.close();
    const leftMs = performance.now();
    // Between the moment at which the server knows of it and the one at which it tells.
    await eventually(async () => (await server.status()).sessions < sessions, 5_000);
    clock.setOffset(offset);
    const atMs = await watch.until(leaver.userId, false, leftMs, presenceMs);
    if (atMs === undefined)
      violations.push({
        rule: "I13",
        text: `the clock jumped to ${offset}, and who had just left is shown online after ${ms(presenceMs)}`,
      });
    else offlineMs.push(atMs - leftMs);
    await delay(500);
  }
  const falseOffline = watch.offlineEvents(fromMs, storm.userIds);
  if (falseOffline > 0)
    violations.push({ rule: "I13", text: `${falseOffline} times somebody was shown offline who was there` });
  if (storm.reconnects > 0)
    violations.push({ rule: "I12", text: `${storm.reconnects} streams ended because the clock jumped` });
  await watch.close();
  violations.push(...(await context.conclude(server)));
  return {
    rounds: offsets.length,
    violations,
    figure: `${falseOffline} false offline events, ${storm.reconnects} streams ended; who left is shown offline after ${ms(Math.max(0, ...offlineMs))} at most`,
  };
}

const clockJumps: Fault = {
  id: "T1",
  name: "clock-jumps",
  title: "the wall clock jumps an hour back and forth",
  figureTitle: "false offline events, streams ended, time until who left is shown offline",
  ci: true,
  missing: missingClock,
  run: (context) =>
    jump(
      context,
      context.mode === "ci" ? ["-3600s", "+3600s"] : ["-3600s", "+3600s", "-86400s", "+60s", "+0s"],
    ),
};

/** Seconds from now until a time. */
function until(time: string): string {
  return `+${Math.round((Date.parse(time) - Date.now()) / 1_000)}s`;
}

const clockEdges: Fault = {
  id: "T3",
  name: "clock-edges",
  title: "the wall clock passes the edges of 32 bits: 2^32 ms on, and the year 2038",
  figureTitle: "false offline events, streams ended",
  ci: false,
  missing: missingClock,
  run: (context) =>
    jump(
      context,
      [until("2038-01-08T17:02:47Z"), until("2038-01-19T03:14:05Z"), until("2038-01-20T00:00:00Z")],
      // 2^32 ms before the first.
      until("2037-11-20T00:00:00Z"),
    ),
};

/** Faults of clocks. */
export const timeFaults: readonly Fault[] = [clockJumps, clockEdges];
