import { eventually } from "../../support/eventually.ts";
import type { Violation } from "../checker/violation.ts";
import { SdkClient } from "../clients/sdk-client.ts";
import type { FaultContext } from "../context.ts";
import type { Fault } from "../fault.ts";
import { ms } from "../figures.ts";
import { startRelay } from "../relay.ts";
import type { FaultServer } from "../server.ts";

const clientCount = 300;
/** The most the first wait of a client lasts, in milliseconds: long enough that dialling itself takes little of it. */
const backoffMs = 3_000;
/** A quarter of that. With full jitter a quarter of all first tries is to be expected in it. */
const windowMs = backoffMs / 4;
/** How many may come in one window, on a machine that may stand still for a while. */
const maxWindowShare = 0.6;
/** What the server takes: fewer than come. */
const sessionsPerSecond = 60;
/** How many of the clients take part in the storm afterwards, to see whether everything arrives. */
const sampleCount = 30;

/** Everybody loses the same server. */
export const reconnectStorm: Fault = {
  id: "N11",
  name: "reconnect-storm",
  title: "300 clients on the SDK lose the server at once, which takes 60 sessions a second",
  figureTitle: "time until all are resumed, peak rate of new streams, first tries in the fullest window",
  ci: true,
  async run(context) {
    const violations: Violation[] = [];
    const server = await context.serve();
    const crowd = await startCrowd(context, server);
    const storm = await context.storm({ address: server.address, sdk: 5, raw: 5, perSecond: 50 });
    const figures: string[] = [];
    // A storm of ten reconnects as well: it is in all counts.
    const losses =
      context.mode === "ci" ? (["SIGKILL"] as const) : (["SIGKILL", "SIGTERM", "SIGKILL"] as const);
    for (const signal of losses) {
      const loss = await lose(server, crowd, signal);
      violations.push(...loss.violations);
      figures.push(loss.figure);
    }
    storm.clients.push(...crowd.clients.slice(0, sampleCount));
    const others = crowd.clients.slice(sampleCount);
    const { sessions } = await server.status();
    // The owner of the storm's groups and its clients, and the others.
    const open = storm.openStreams + others.filter(({ live }) => live).length;
    if (sessions !== open)
      violations.push({ rule: "I12", text: `the server has ${sessions} sessions, clients have ${open}` });
    violations.push(...(await context.conclude(server, { histories: others.map(({ history }) => history) })));
    return { rounds: losses.length, violations, figure: figures.join("; ") };
  },
};

/** Clients, each with a way of its own to the server, so that its tries are known. */
interface Crowd {
  clients: SdkClient[];
  /** When each client dialled, by its number. */
  dials: number[][];
  /** When the server accepted connections. */
  reached: number[];
}

async function startCrowd(context: FaultContext, server: FaultServer): Promise<Crowd> {
  const crowd: Crowd = { clients: [], dials: [], reached: [] };
  for (let n = 0; n < clientCount; n++) {
    const dials: number[] = [];
    const relay = await startRelay(server.address, {
      onAccept: () => dials.push(performance.now()),
      onReach: () => crowd.reached.push(performance.now()),
    });
    context.defer(() => relay.close());
    const backoff = { baseMs: backoffMs, capMs: backoffMs };
    const client = new SdkClient({ address: relay.address, userId: `crowd-${n}`, backoff });
    crowd.dials.push(dials);
    crowd.clients.push(client);
  }
  context.defer(async () => void (await Promise.all(crowd.clients.map((client) => client.close()))));
  for (let n = 0; n < clientCount; n += 50)
    await Promise.all(crowd.clients.slice(n, n + 50).map((client) => client.start()));
  return crowd;
}

/** Ends the server, starts another and waits until everybody is back. */
async function lose(
  server: FaultServer,
  { clients, dials, reached }: Crowd,
  signal: "SIGKILL" | "SIGTERM",
): Promise<{ violations: Violation[]; figure: string }> {
  const violations: Violation[] = [];
  const lostMs = performance.now();
  if (signal === "SIGKILL") await server.kill();
  else await server.terminate();
  const goneMs = performance.now();
  await server.start({ args: ["--max-new-sessions-per-second", String(sessionsPerSecond)] });
  const backMs = performance.now();
  const resumedAt = (client: SdkClient) =>
    client.history.entries.findLast(({ type, atMs }) => type === "caught-up" && atMs >= goneMs)?.atMs;
  await eventually(() => clients.every((client) => resumedAt(client) !== undefined), 60_000).catch(() => {});
  const times = clients.flatMap((client) => resumedAt(client) ?? []).sort((a, b) => a - b);
  if (times.length < clientCount)
    violations.push({ rule: "I12", text: `${times.length} of ${clientCount} were resumed within 60 s` });

  // The server lets in what comes in a second at once, and so many each second. No session opens before it is reached.
  const fromMs = Math.min(...reached.filter((atMs) => atMs >= goneMs));
  const tooMany = times.findIndex((atMs, n) => n + 1 > allowed(atMs - fromMs));
  if (tooMany >= 0)
    violations.push({
      rule: "I16",
      text: `${tooMany + 1} streams were opened in ${ms((times[tooMany] ?? 0) - fromMs)}, with ${sessionsPerSecond} a second allowed`,
    });

  const tries = dials.flatMap((at) => at.find((atMs) => atMs >= lostMs) ?? []).sort((a, b) => a - b);
  const share = mostWithin(tries, windowMs) / tries.length;
  const percent = `${Math.round(share * 100)} %`;
  if (share > maxWindowShare)
    violations.push({
      rule: "I16",
      text: `${percent} of all first tries came within ${ms(windowMs)}, with waits of up to ${ms(backoffMs)}`,
    });
  const tried = dials.reduce((sum, at) => sum + at.filter((atMs) => atMs >= lostMs).length, 0);
  return {
    violations,
    figure: `${signal}: ${times.length} of ${clientCount} resumed ${ms((times.at(-1) ?? 0) - backMs)} after the server was back, at most ${mostWithin(times, 1_000)} within a second, in ${tried} connections; at most ${percent} of first tries within ${ms(windowMs)}, ${mostWithin(tries, 100)} within 100 ms`,
  };
}

/** How many sessions may have been opened after some time, with what a clock of another process is off. */
function allowed(sinceMs: number): number {
  return 1.1 * sessionsPerSecond * (1 + sinceMs / 1_000);
}

/** The most of some sorted times that lie within so many milliseconds. */
function mostWithin(times: readonly number[], withinMs: number): number {
  let from = 0;
  let most = 0;
  times.forEach((atMs, n) => {
    while (atMs - (times[from] as number) >= withinMs) from++;
    most = Math.max(most, n - from + 1);
  });
  return most;
}
