import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../support/eventually.ts";
import { pick } from "../support/random.ts";
import type { Violation } from "./checker/violation.ts";
import type { FaultContext } from "./context.ts";
import { startProxy } from "./disturb/proxy.ts";
import type { Fault, Outcome } from "./fault.ts";
import { megabytes } from "./figures.ts";
import type { FaultServer, ServerStatus } from "./server.ts";
import type { Storm } from "./storm.ts";

/** What is looked at between two disturbances. */
interface Sample {
  atMs: number;
  status: ServerStatus;
}

/** How much a healthy server's heap may seem to grow, in MB an hour: garbage comes and goes. */
const maxSlopeMbPerHour = 40;
const maxHandleGrowth = 10;
/** Below this, a slope says nothing. */
const minSlopeMinutes = 10;

/** Makes the fault that lasts so many minutes. */
export function soakFault(minutes: number): Fault {
  return {
    id: "M7",
    name: "soak",
    title: "churn and disturbances at random",
    figureTitle: "heap slope, handles",
    ci: false,
    run: (context) => soak(context, minutes),
  };
}

/**
 * Lets a storm go on for a long time, with clients that come and go and a
 * disturbance at random every half a minute. Between disturbances both sides
 * have to agree on what is open; in the end all histories are judged, and the
 * heap and the number of handles must not have grown.
 */
async function soak(context: FaultContext, minutes: number): Promise<Outcome> {
  // A heap of this size would end the process of a server that leaks.
  const server = await context.serve({ nodeArgs: ["--max-old-space-size=256"] });
  const proxy = await startProxy(server.address, { random: context.random });
  context.defer(() => proxy.close());
  const storm = await context.storm({ address: proxy.address, sdk: 60, raw: 32, perSecond: 100 });
  const disturbances = disturbancesOf(proxy, server, storm);
  const names = Object.keys(disturbances) as (keyof typeof disturbances)[];
  const violations: Violation[] = [];
  const samples: Sample[] = [];
  let rounds = 0;
  const fromMs = performance.now();
  const untilMs = fromMs + minutes * 60_000;
  const periodMs = Math.min(30_000, (minutes * 60_000) / 4);
  while (performance.now() < untilMs) {
    const name = pick(context.random, names);
    rounds++;
    context.say(`${Math.round((performance.now() - fromMs) / 1_000)} s: ${name}`);
    await disturbances[name]();
    await delay(periodMs);
    const agreed = () => agree(server, storm);
    await eventually(agreed, 30_000).catch(async () => {
      const { sessions } = await server.status();
      const text = `after ${name} the server has ${sessions} sessions, clients have ${storm.openStreams}`;
      violations.push({ rule: "I12", text });
    });
    samples.push({ atMs: performance.now(), status: await server.status() });
  }
  const heap = slope(samples.map(({ atMs, status }) => [atMs, status.heapUsedBytes]));
  const mbPerHour = (heap * 3_600_000) / 1_048_576;
  const handles = (samples.at(-1)?.status.activeHandles ?? 0) - (samples[0]?.status.activeHandles ?? 0);
  const maxRss = Math.max(...samples.map(({ status }) => status.rssBytes));
  if (minutes >= minSlopeMinutes && mbPerHour > maxSlopeMbPerHour)
    violations.push({ rule: "I11", text: `the heap grew by ${mbPerHour.toFixed(1)} MB an hour` });
  if (handles > maxHandleGrowth)
    violations.push({ rule: "I11", text: `${handles} handles more than at the start` });
  violations.push(...(await context.conclude(server)));
  return {
    rounds,
    violations,
    figure: `${minutes} minutes, ${storm.acknowledged} messages, ${storm.reconnects} reconnects; heap ${mbPerHour.toFixed(1)} MB/h, ${handles >= 0 ? "+" : ""}${handles} handles, at most ${megabytes(maxRss)} resident`,
  };
}

function disturbancesOf(proxy: Awaited<ReturnType<typeof startProxy>>, server: FaultServer, storm: Storm) {
  return {
    async "reset all connections"() {
      proxy.resetAll();
    },
    async "cut all connections"() {
      proxy.cutAll();
    },
    async "300 ms more latency"() {
      for (const direction of ["up", "down"] as const)
        proxy.set(direction, { latencyMs: 300, jitterMs: 200 });
      await delay(5_000);
      proxy.clear();
    },
    async "nothing passes for 5 s"() {
      for (const direction of ["up", "down"] as const) proxy.set(direction, { stall: true });
      await delay(5_000);
      proxy.clear();
    },
    async "nothing goes down for ever"() {
      proxy.set("down", { blackHole: true });
      await delay(3_000);
      proxy.clear();
    },
    async "freeze the server for 2 s"() {
      server.freeze();
      await delay(2_000);
      server.thaw();
    },
    async "every fifth raw client breaks off its stream"() {
      storm.breakSome(0.2);
    },
  };
}

/** Whether both sides have the same streams open. */
async function agree(server: FaultServer, storm: Storm): Promise<boolean> {
  if (!storm.allLive) return false;
  return (await server.status()).sessions === storm.openStreams;
}

/** The slope of the line that fits points best, by least squares. */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const n = points.length;
  if (n < 2) return 0;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / n;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / n;
  const top = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const bottom = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return top / bottom;
}
