/** Faults of what the system gives a process. */

import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import type { Violation } from "../checker/violation.ts";
import { RawClient } from "../clients/raw-client.ts";
import { missingCommand } from "../disturb/needs.ts";
import type { Fault } from "../fault.ts";

const fewFiles: Fault = {
  id: "R1",
  name: "few-files",
  title: "the server may open 64 files, and more clients come than that",
  figureTitle: "clients served meanwhile, after the others left",
  ci: true,
  missing: () => missingCommand("prlimit"),
  async run(context) {
    const server = await context.serve({ wrapper: ["prlimit", "--nofile=64"] });
    const storm = await context.storm({ address: server.address, sdk: 6, raw: 6, groups: 2, perSecond: 50 });
    const crowd = Array.from(
      { length: 80 },
      (_, n) => new RawClient({ address: server.address, userId: `crowd-${n}`, random: context.random }),
    );
    context.defer(async () => void (await Promise.all(crowd.map((client) => client.close()))));
    for (const client of crowd) void client.start();
    await delay(context.scale(3_000, 10_000));
    const { sessions } = await server.status();
    const served = crowd.filter(({ live }) => live).length;
    const before = storm.acknowledged;
    await delay(1_000);
    const violations: Violation[] = [];
    if (served === crowd.length)
      violations.push({ rule: "run", text: "all clients found a place: there was no want of files" });
    if (storm.acknowledged === before)
      violations.push({ rule: "I12", text: "nobody was served while files were wanting" });
    // Room again: those who were turned away get in.
    const [stay, leave] = [crowd.slice(0, 10), crowd.slice(10)];
    for (const client of leave) await client.close();
    await eventually(() => stay.every(({ live }) => live), 20_000).catch(() =>
      violations.push({ rule: "I12", text: "who waited for a place did not get in when there was room" }),
    );
    for (const client of stay) await client.close();
    await delay(200);
    violations.push(...(await context.conclude(server)));
    return {
      rounds: 1,
      violations,
      figure: `${served} of ${crowd.length} found a place (${sessions} sessions); ${storm.acknowledged - before} messages/s served meanwhile; afterwards everyone`,
    };
  },
};

/** Faults of what the system gives a process. */
export const resourcesFaults: readonly Fault[] = [fewFiles];
