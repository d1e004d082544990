import { setTimeout as delay } from "node:timers/promises";
import { type Case, type Context, sessionCount } from "../lib/context.ts";
import { alternate, rowOf } from "../lib/pairs.ts";
import { cpuUs, residentBytes } from "../lib/process-usage.ts";
import type { Row } from "../lib/row.ts";
import { type MeasuredServer, startFloor, startParlance } from "../lib/server.ts";
import { round } from "../lib/statistics.ts";
import { Failure } from "../load/failure.ts";
import { userIds } from "../load/groups.ts";
import { closeSessions, openSessions } from "../load/open-sessions.ts";
import type { Session } from "../load/session.ts";
import { tokenFor } from "../load/tokens.ts";

const maxKb = 48;
const maxCpuPercent = 1;
/** Opened and closed before, so that code is compiled and pools are filled. */
const warmUpSessions = 500;
/** As often as the server asks each connection whether it lives that has nothing to do. */
const keepaliveSeconds = 50;
/** Until every connection was asked after it was opened. */
const settleSeconds = 15;

/** What a session costs that is open and has nothing to do. */
export const idle: Case = {
  name: "idle",
  work: "5,000 and 10,000 sessions, own connection each, nothing to do",
  async run(context) {
    const rows = [await measure(context, "idle", sessionCount(context, 5_000, 200))];
    if (context.sessions === undefined && !context.quick)
      rows.push(await measure(context, "idle/10,000", 10_000));
    return rows;
  },
};

async function measure(context: Context, name: string, count: number): Promise<Row> {
  let cpuPercent = Number.NaN;
  const pairs = await alternate(
    context.pairs,
    async () => {
      const server = await startParlance(context);
      const { sessions, kb } = await openMany(context, server, count, tokenFor);
      if (Number.isNaN(cpuPercent)) cpuPercent = await cpuPercentAtRest(context, server);
      closeSessions(sessions);
      await server.close();
      return { value: kb };
    },
    async () => {
      const server = await startFloor("streams", "group");
      const { sessions, kb } = await openMany(context, server, count, () => undefined);
      closeSessions(sessions);
      await server.close();
      return { value: kb };
    },
  );
  const row = rowOf(pairs, {
    name,
    unit: "KB/session",
    target: `≤ ${maxKb} KB, < ${maxCpuPercent} % CPU`,
    reaches: ({ ours }) => ours <= maxKb && cpuPercent < maxCpuPercent,
    floorIs: "bare grpc-js",
  });
  return { ...row, sessions: count, kb_per_session: row.ours, cpu_percent: round(cpuPercent) };
}

/** Opens sessions; returns how much more memory the server has once it has come to rest, for each of them. */
async function openMany(
  { seconds }: Context,
  { address, pid }: MeasuredServer,
  count: number,
  tokenOf: (userId: string) => string | undefined,
): Promise<{ sessions: Session[]; kb: number }> {
  const failure = new Failure();
  const open = (prefix: string, n: number) =>
    openSessions({ address, failure, tokens: userIds(prefix, n).map(tokenOf) });
  closeSessions(await open("warm-up", Math.min(warmUpSessions, count)));
  await delay(seconds * 1000);
  const beforeBytes = residentBytes(pid);
  const sessions = await open("user", count);
  await failure.during(delay(seconds * 1000));
  return { sessions, kb: (residentBytes(pid) - beforeBytes) / count / 1024 };
}

/** Returns how much of one core a server uses while nothing happens, over a whole period of keepalive: once, as that is long. */
async function cpuPercentAtRest({ quick }: Context, { pid, startProfile }: MeasuredServer): Promise<number> {
  await delay(quick ? 0 : settleSeconds * 1000);
  await startProfile();
  const restMs = quick ? 200 : keepaliveSeconds * 1000;
  const beforeUs = cpuUs(pid);
  await delay(restMs);
  return (cpuUs(pid) - beforeUs) / restMs / 10;
}
