import type { PresenceMessage } from "../bus/bus.ts";

/** For how long a node's word that it has a user counts. */
export const leaseMs = 10_000;

/** A presence reported by another node. */
interface RemotePresence {
  platforms: readonly number[];
  lastActiveMs: number;
  /** When it said so, on the monotonic clock. */
  affirmedMs: number;
}

/**
 * Keeps what other nodes said of users who are watched here. Each node's word counts
 * for ten seconds, so that the users of one that died or froze do not stay
 * online, and is asked for again before it runs out.
 */
export class RemotePresences {
  readonly #users = new Map<string, Map<string, RemotePresence>>();

  /** Notes what a node says of a user. @returns whether that changes where the user is connected */
  note({ userId, instanceId, platforms, lastActiveMs }: PresenceMessage, nowMs: number): boolean {
    const nodes = this.#users.get(userId);
    const before = nodes?.get(instanceId);
    if (platforms.length === 0) {
      if (nodes?.delete(instanceId) && nodes.size === 0) this.#users.delete(userId);
      return before !== undefined;
    }
    const lease = { platforms, lastActiveMs, affirmedMs: nowMs };
    if (nodes === undefined) this.#users.set(userId, new Map([[instanceId, lease]]));
    else nodes.set(instanceId, lease);
    return before === undefined || before.platforms.join() !== platforms.join();
  }

  /** The platforms of a user's sessions on other nodes; none when there are no sessions. */
  platformsOf(userId: string): number[] {
    const nodes = this.#users.get(userId);
    return nodes === undefined ? [] : [...nodes.values()].flatMap((lease) => lease.platforms);
  }

  /** Drops what was said too long ago. @returns the users concerned */
  expire(nowMs: number): string[] {
    const changed: string[] = [];
    for (const [userId, nodes] of this.#users) {
      for (const [instanceId, lease] of nodes) {
        if (nowMs - lease.affirmedMs <= leaseMs) continue;
        nodes.delete(instanceId);
        changed.push(userId);
      }
      if (nodes.size === 0) this.#users.delete(userId);
    }
    return changed;
  }

  /** Lets everything count anew: after a time in which this node could not hear. */
  renew(nowMs: number): void {
    for (const nodes of this.#users.values()) for (const lease of nodes.values()) lease.affirmedMs = nowMs;
  }

  /** Forgets a user who is watched no more. */
  forget(userId: string): void {
    this.#users.delete(userId);
  }
}
