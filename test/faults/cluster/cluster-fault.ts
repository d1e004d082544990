/** What faults of several nodes have in common. */

import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import type { Violation } from "../checker/violation.ts";
import type { FaultContext } from "../context.ts";
import type { Fault } from "../fault.ts";
import type { History } from "../history.ts";
import type { Storm, StormOptions } from "../storm.ts";
import type { Period } from "../timings.ts";
import { type FaultCluster, missingCluster } from "./cluster.ts";

/** Makes a fault of one that needs PostgreSQL and NATS. */
export function clusterFault(fault: Omit<Fault, "missing"> & { missing?: Fault["missing"] }): Fault {
  return { ...fault, missing: () => missingCluster() ?? fault.missing?.() };
}

/** Users of each kind in a storm over several nodes. */
export const stormUsers = { sdk: 18, raw: 12 };

/**
 * Starts a storm whose users on the SDK know all nodes, and whose raw users
 * know one node each, in turn: they are gone while it is.
 */
export function startSpreadStorm(
  context: FaultContext,
  { addresses }: FaultCluster,
  options: Partial<Omit<StormOptions, "address" | "random">> = {},
): Promise<Storm> {
  const { sdk = stormUsers.sdk } = options;
  return context.storm({
    ...stormUsers,
    address: addresses,
    addressOf: (n) => (n < sdk ? addresses : (addresses[n % addresses.length] as string)),
    groups: 4,
    perSecond: context.scale(80, 120),
    settleMs: 90_000,
    ...options,
  });
}

/** The raw users of `startSpreadStorm` that know nothing but one node. */
export function pinnedTo(index: number, nodes: number): string[] {
  const { sdk, raw } = stormUsers;
  return Array.from({ length: raw }, (_, n) => n)
    .filter((n) => (sdk + n) % nodes === index)
    .map((n) => `raw-${n}`);
}

/** Waits until all clients have a stream; that they do not is a violation. */
export async function untilAllLive(storm: Storm, timeoutMs = 60_000): Promise<Violation[]> {
  await eventually(() => storm.allLive, timeoutMs).catch(() => {});
  const away = storm.clients.filter(({ live }) => !live).map(({ history }) => history.client);
  return away.length === 0
    ? []
    : [{ rule: "I12", text: `after ${timeoutMs} ms no stream is open of ${away.join(", ")}` }];
}

/** How many operations were answered in a period as done for the first time. */
export function answeredIn(histories: readonly History[], period: Period): number {
  return countIn(histories, period, (entry) => entry.type === "ok" && entry.duplicate !== true);
}

/** How many tries failed in a period, with a reason if one is given. */
export function failedIn(histories: readonly History[], period: Period, reason?: string): number {
  return countIn(
    histories,
    period,
    (entry) =>
      (entry.type === "unknown" || entry.type === "fail") &&
      (reason === undefined || entry.error.reason === reason),
  );
}

function countIn(
  histories: readonly History[],
  { fromMs, toMs }: Period,
  fits: (entry: History["entries"][number]) => boolean,
): number {
  return histories.reduce(
    (sum, { entries }) =>
      sum + entries.filter((entry) => entry.atMs >= fromMs && entry.atMs < toMs && fits(entry)).length,
    0,
  );
}

/** Waits, and tells in which time that was. */
export async function during(ms: number): Promise<Period> {
  const fromMs = performance.now();
  await delay(ms);
  return { fromMs, toMs: performance.now() };
}

/**
 * Waits until something new is answered.
 *
 * @returns how many milliseconds after `fromMs` that was; undefined when it was not within `timeoutMs`
 */
export async function untilAnswered(
  storm: Storm,
  fromMs: number,
  timeoutMs = 60_000,
): Promise<number | undefined> {
  const before = storm.acknowledged;
  await eventually(() => storm.acknowledged > before, timeoutMs).catch(() => {});
  return storm.acknowledged > before ? performance.now() - fromMs : undefined;
}
