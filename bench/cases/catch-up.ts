import { setTimeout as delay } from "node:timers/promises";
import { type Case, sessionCount } from "../lib/context.ts";
import { type Pairs, rowOf } from "../lib/pairs.ts";
import { cpuUs } from "../lib/process-usage.ts";
import { median, percentile, round } from "../lib/statistics.ts";
import { EventCounts } from "../load/events.ts";
import type { Failure } from "../load/failure.ts";
import { sendMany } from "../load/fill.ts";
import { createGroup, userIds } from "../load/groups.ts";
import { Http2Connection } from "../load/http2-connection.ts";
import { closeSessions, resumeSessions } from "../load/open-sessions.ts";
import { PacedLoad } from "../load/paced.ts";
import { MessageIds, SendFrames } from "../load/sends.ts";
import { Session } from "../load/session.ts";
import { tokenFor } from "../load/tokens.ts";
import { directUsers } from "./direct-users.ts";

/** What the others send, all of them together. */
const othersPerSecond = 200;
const maxRatio = 2;
const groupId = "everybody";

/** All devices of a group come back at once and are sent what they missed, while others go on talking. */
export const catchUp: Case = {
  name: "catch-up",
  work: "1,000 devices resume at once, 1,000 events each; live latency of 20 others",
  async run(context) {
    const devices = sessionCount(context, 1_000, 20);
    const missed = context.quick ? 100 : 1_000;
    const others = await directUsers(context, 20);
    const { server, failure } = others;
    const tokens = userIds("member", devices).map(tokenFor);
    const p50: Pairs = { ours: [], floor: [] };
    const p99: Pairs = { ours: [], floor: [] };
    const rates: number[] = [];
    const cpu: number[] = [];
    try {
      await createGroup(server.address, groupId, ["owner", ...userIds("member", devices)]);
      await miss(server.address, missed, failure);
      const paced = new PacedLoad(others.users, failure);
      await paced.run(othersPerSecond, delay(context.seconds * 1000));
      await server.startProfile();
      for (let i = 0; i < context.pairs; i++) {
        const calm = await paced.run(othersPerSecond, delay(context.seconds * 1000));
        const counts = new EventCounts();
        const resumed = await resumeSessions({ address: server.address, failure, tokens, counts });
        const startMs = performance.now();
        const beforeUs = cpuUs(server.pid);
        const during = await paced.run(
          othersPerSecond,
          resumed.start().then(stopWatch(startMs, rates, counts)),
        );
        cpu.push((cpuUs(server.pid) - beforeUs) / counts.log);
        if (counts.log < devices * missed) throw new Error(`only ${counts.log} events were delivered`);
        closeSessions(resumed.sessions);
        p50.ours.push({ value: percentile(during, 0.5) });
        p50.floor.push({ value: percentile(calm, 0.5) });
        p99.ours.push({ value: percentile(during, 0.99) });
        p99.floor.push({ value: percentile(calm, 0.99) });
      }
    } finally {
      await others.close();
    }
    const head = {
      unit: "ms send → delivered",
      target: `≤ ${maxRatio} × while nobody resumes`,
      reaches: ({ ratio }: { ratio: number }) => ratio <= maxRatio,
      floorIs: "while nobody resumes",
    };
    const figures = { per_second: round(median(rates)), cpu_us_per_event: round(median(cpu)) };
    return [
      { ...rowOf(p50, { name: "catch-up", ...head }), ...figures },
      rowOf(p99, { name: "catch-up/p99", ...head }),
    ];
  },
};

/** Has the owner of the group say something while nobody else is there. */
async function miss(address: string, count: number, failure: Failure): Promise<void> {
  const session = await Session.open(await Http2Connection.connect(address), {
    token: tokenFor("owner"),
    failure,
  });
  await sendMany({ session, frames: [SendFrames.forStream({ groupId }, new MessageIds())] }, count, failure);
  session.close();
}

/** Notes how many events per second were delivered, when it is called. */
function stopWatch(startMs: number, rates: number[], counts: EventCounts): () => void {
  return () => void rates.push(counts.log / ((performance.now() - startMs) / 1000));
}
