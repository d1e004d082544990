import { v7 as uuidv7 } from "uuid";
import { eventually } from "../support/eventually.ts";
import { RawClient } from "./clients/raw-client.ts";
import type { FaultContext } from "./context.ts";

/** What a server shows of users, over time. Times are on the monotonic clock of the harness, in milliseconds. */
export interface PresenceWatch {
  /** Who watches. Its history goes to `conclude`, unless it is closed before. */
  readonly client: RawClient;
  /** What was shown last of a user; undefined when nothing was. */
  shown: (userId: string) => boolean | undefined;
  /**
   * Waits until a user is shown online, or offline.
   *
   * @returns when that was first shown at or after `sinceMs`; undefined when it was not within `timeoutMs`
   */
  until: (userId: string, online: boolean, sinceMs: number, timeoutMs: number) => Promise<number | undefined>;
  /** How often users were shown offline at or after `sinceMs`; by default all who are watched. */
  offlineEvents: (sinceMs: number, userIds?: readonly string[]) => number;
  /** The longest that a user was shown online, or offline, without a break, from `fromMs` until now. */
  longest: (userId: string, online: boolean, fromMs: number) => number;
  /** Ends the watching. */
  close: () => Promise<void>;
}

/**
 * Has a client of its own watch users, at most 1,000, and resolves once it was
 * told of all of them. Its stream opens again after every fault, and what was
 * shown before then counts on, as on a screen.
 */
export async function startPresenceWatch(
  context: FaultContext,
  address: string,
  userIds: readonly string[],
): Promise<PresenceWatch> {
  const { random } = context;
  const client = new RawClient({ address, userId: `watcher-${uuidv7()}`, random, watch: userIds });
  context.defer(() => client.close());
  /** What was shown of each user, in order. */
  const shown = new Map<string, { atMs: number; online: boolean }[]>(userIds.map((userId) => [userId, []]));
  let seen = 0;
  client.history.onEntry = () => {
    const { entries } = client.history;
    for (; seen < entries.length; seen++) {
      const entry = entries[seen];
      if (entry?.type === "presence") shown.get(entry.userId)?.push(entry);
    }
  };
  await client.start();
  const of = (userId: string) => shown.get(userId) ?? [];
  await eventually(() => userIds.every((userId) => of(userId).length > 0), 20_000);
  return {
    client,
    shown: (userId) => of(userId).at(-1)?.online,
    async until(userId, online, sinceMs, timeoutMs) {
      const found = () => {
        const before = of(userId).findLast(({ atMs }) => atMs <= sinceMs);
        if (before?.online === online) return sinceMs;
        return of(userId).find((state) => state.atMs > sinceMs && state.online === online)?.atMs;
      };
      await eventually(() => found() !== undefined, timeoutMs).catch(() => {});
      return found();
    },
    offlineEvents: (sinceMs, chosen = userIds) =>
      chosen.reduce(
        (sum, userId) => sum + of(userId).filter(({ atMs, online }) => atMs >= sinceMs && !online).length,
        0,
      ),
    longest(userId, online, fromMs) {
      const states = of(userId);
      let longest = 0;
      let sinceMs: number | undefined;
      for (const state of [...states, { atMs: performance.now(), online: !online }]) {
        if (state.online === online) sinceMs ??= state.atMs;
        else if (sinceMs !== undefined) {
          longest = Math.max(longest, state.atMs - Math.max(sinceMs, fromMs));
          sinceMs = undefined;
        }
      }
      return longest;
    },
    close: () => client.close(),
  };
}
