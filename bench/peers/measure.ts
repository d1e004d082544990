import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { median, round } from "../lib/statistics.ts";
import { type LoadProcess, startLoad } from "./load/child.ts";
import type { Job } from "./load/orders.ts";
import type { Peer, RunningPeer } from "./peer.ts";
import type { PeerRow } from "./rows.ts";
import { usageOf } from "./usage.ts";

/** How much is measured. */
export interface Sizes {
  /** How many are in the group. */
  receivers: number;
  /** How many users write to each other. */
  writers: number;
  /** How many idle sessions there are. */
  sessions: number;
  /** How long each sample takes. */
  seconds: number;
  /** How many samples are taken; their median counts. */
  samples: number;
  /** How long a server is warmed up before, and left in peace to settle. */
  settleSeconds: number;
}

/** The jobs, in order. */
export const jobs = ["fanout-idle", "fanout-load", "direct", "idle"] as const satisfies ReadonlyArray<Job>;

/** What is known of a row before anything is measured. */
export type RowHead = Pick<PeerRow, "peer" | "mode" | "job" | "durable" | "unit" | "users">;

/** Where the numbers of idle users start: nobody of another job is one of them. */
const firstIdleUser = 1_000_000;
/** Idle sessions that are there before those that are counted, so that what the first ones cost does not count. */
const firstSessions = 50;

/** Starts a server of a peer, does jobs with it, one after the other, and stops it. */
export async function measure(peer: Peer, doing: readonly Job[], sizes: Sizes): Promise<PeerRow[]> {
  const folder = mkdtempSync(join(tmpdir(), `parlance-bench-${peer.name}-`));
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", removeFolder);
  try {
    const server = await peer.start(folder);
    try {
      const rows: PeerRow[] = [];
      for (const job of doing) rows.push(await measureJob(peer, server, job, sizes));
      return rows;
    } finally {
      await server.close();
    }
  } catch (error) {
    return doing.map((job) => ({ ...rowHead(peer, job, sizes), ...reasonOf(error) }));
  } finally {
    process.off("exit", removeFolder);
    removeFolder();
  }
}

async function measureJob(peer: Peer, server: RunningPeer, job: Job, sizes: Sizes): Promise<PeerRow> {
  const head = rowHead(peer, job, sizes);
  try {
    const figures = job === "idle" ? idle(peer, server, sizes) : busy(peer, server, head, sizes);
    return { ...head, ...(await figures), settings: peer.settings };
  } catch (error) {
    return { ...head, ...reasonOf(error) };
  }
}

/** Says in a row why it has no figures. */
export function reasonOf(error: unknown): { reason: string } {
  const message = error instanceof Error ? error.message : String(error);
  return { reason: message.replaceAll(/\s+/g, " ") };
}

/** Makes a row without figures. */
export function rowHead(
  { name, mode = "", durable }: Pick<Peer, "name" | "durable"> & { mode?: string },
  job: Job,
  { receivers, writers, sessions }: Sizes,
): RowHead & { cpu_us: null; per_second: null } {
  const size = { cpu_us: null, per_second: null } as const;
  const head = { peer: name, mode, job, durable, ...size };
  switch (job) {
    case "fanout-idle":
    case "fanout-load":
      return { ...head, unit: "delivery", users: receivers };
    case "direct":
      return { ...head, unit: "message", users: writers };
    case "idle":
      return { ...head, unit: "session", users: sessions };
  }
}

type Figures = Pick<PeerRow, "cpu_us" | "per_second" | "cpu_percent" | "kb_per_session">;

/**
 * Measures CPU time per unit of work, after a run that warms the server up.
 *
 * @throws Error when the server says that it keeps messages and has not kept all
 */
async function busy(
  { protocol, durable }: Peer,
  { port, pids, kept }: RunningPeer,
  { job, users }: RowHead,
  { seconds, samples, settleSeconds }: Sizes,
): Promise<Figures> {
  const keptBefore = (await kept?.()) ?? 0;
  const load = await startLoad({ job, protocol, port, durable, users, firstUser: 0 });
  try {
    await load.run(settleSeconds);
    const figures: Array<{ cpuUs: number; perSecond: number; cpuPercent: number }> = [];
    for (let i = 0; i < samples; i++) figures.push(await sample(load, pids, seconds));
    const keptNow = await kept?.();
    if (keptNow !== undefined && keptNow - keptBefore < load.messages) {
      throw new Error(`only ${keptNow - keptBefore} of ${load.messages} messages were kept`);
    }
    return {
      cpu_us: round(median(figures.map(({ cpuUs }) => cpuUs))),
      per_second: round(median(figures.map(({ perSecond }) => perSecond))),
      cpu_percent: round(median(figures.map(({ cpuPercent }) => cpuPercent))),
    };
  } finally {
    load.close();
  }
}

async function sample(load: LoadProcess, pids: readonly number[], seconds: number) {
  const before = usageOf(pids);
  const { units, elapsedMs } = await load.run(seconds);
  const usedUs = usageOf(pids).cpuUs - before.cpuUs;
  return {
    cpuUs: usedUs / units,
    perSecond: units / (elapsedMs / 1000),
    cpuPercent: (usedUs / 1000 / elapsedMs) * 100,
  };
}

/** Measures what more memory more sessions take, and what CPU time all of them. */
async function idle(
  { protocol, durable }: Peer,
  { port, pids }: RunningPeer,
  { sessions, seconds, samples, settleSeconds }: Sizes,
): Promise<Figures> {
  const order = { job: "idle", protocol, port, durable } as const;
  const loads: LoadProcess[] = [];
  try {
    loads.push(await startLoad({ ...order, users: firstSessions, firstUser: firstIdleUser }));
    await sleep(settleSeconds * 1000);
    const before = usageOf(pids);
    const load = await startLoad({ ...order, users: sessions, firstUser: firstIdleUser + firstSessions });
    loads.push(load);
    await sleep(settleSeconds * 1000);
    const connected = usageOf(pids);
    const { elapsedMs } = await load.run(seconds * samples);
    const after = usageOf(pids);
    return {
      cpu_us: null,
      per_second: null,
      kb_per_session: round((connected.residentBytes - before.residentBytes) / 1024 / sessions),
      cpu_percent: round(((after.cpuUs - connected.cpuUs) / 1000 / elapsedMs) * 100),
    };
  } finally {
    for (const load of loads) load.close();
  }
}
