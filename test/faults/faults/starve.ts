/** Faults in which the server gets less of the machine than it needs. */

import { setTimeout as delay } from "node:timers/promises";
import type { Violation } from "../checker/violation.ts";
import { createCgroup, missingCgroup } from "../disturb/cgroup.ts";
import type { Fault } from "../fault.ts";
import { ms, percentile } from "../figures.ts";
import { answerTimes } from "../timings.ts";

/** A process that has to share. */
export const throttleCpu: Fault = {
  id: "P10",
  name: "throttle-cpu",
  title: "the server gets 20 % of one processor, then all of it again",
  figureTitle: "messages answered a second before and meanwhile, share of tries without an answer",
  ci: false,
  missing: missingCgroup,
  async run(context) {
    const violations: Violation[] = [];
    const server = await context.serve();
    const storm = await context.storm({ address: server.address, perSecond: context.scale(300, 600) });
    const cgroup = createCgroup(server.pid);
    context.defer(() => cgroup.close());

    const beforeMs = performance.now();
    const answeredFirst = storm.acknowledged;
    await delay(context.scale(2_000, 8_000));
    const fromMs = performance.now();
    const answeredBefore = storm.acknowledged;
    cgroup.limitCpu(20);
    await delay(context.scale(6_000, 30_000));
    const toMs = performance.now();
    const answeredAfter = storm.acknowledged;
    const throttled = cgroup.throttled();
    cgroup.limitCpu(undefined);
    if (throttled === 0) violations.push({ rule: "run", text: "the processor was not taken away" });
    const goodput = (answeredAfter - answeredBefore) / ((toMs - fromMs) / 1_000);
    if (goodput === 0) violations.push({ rule: "I12", text: "nothing was answered on 20 % of a processor" });

    cgroup.close();
    violations.push(...(await context.conclude(server)));
    const tries = storm.histories.flatMap(({ entries }) =>
      entries.filter(
        ({ type, atMs }) =>
          atMs >= fromMs && atMs < toMs && (type === "ok" || type === "unknown" || type === "fail"),
      ),
    );
    const unanswered = tries.filter(({ type }) => type === "unknown").length;
    const times = answerTimes(storm.histories, { fromMs, toMs });
    return {
      rounds: 1,
      violations,
      figure: `${Math.round((answeredBefore - answeredFirst) / ((fromMs - beforeMs) / 1_000))} messages/s before, ${Math.round(goodput)} on a fifth of a processor; ${((100 * unanswered) / Math.max(1, tries.length)).toFixed(1)} % of tries without an answer; answer p50 ${ms(percentile(times, 50))}, p99 ${ms(percentile(times, 99))}`,
    };
  },
};

/** A process that the system ends for want of memory. */
export const killForMemory: Fault = {
  id: "P7",
  name: "kill-for-memory",
  title: "the system ends the server for want of memory",
  figureTitle: "memory when it was ended, acknowledged messages lost",
  ci: false,
  missing: () => "the harness limits no memory yet; `kill-storm` ends the server with the same signal",
  run: () => Promise.reject(new Error("the harness limits no memory yet")),
};
