import type { Clock } from "../model/clock.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import { Buckets, type Rate } from "./buckets.ts";

/** How often a user may do things on this node, by the names of the settings. 0 for as often as they like. */
export interface UserRates {
  /** Messages sent, direct and to groups, per second. */
  maxSendsPerSecond: number;
  /** Messages, conversations, groups and members read, per second. */
  maxReadsPerSecond: number;
  /** Changes of groups, marks of what was read, and logouts, per second. */
  maxChangesPerSecond: number;
  /** Words of typing, per second. */
  maxTypingPerSecond: number;
  /** Users whose presence is asked for or watched, per second. */
  maxPresenceReadsPerSecond: number;
  /** Streams opened, per second. */
  maxNewStreamsPerSecond: number;
  /** Direct conversations begun, per minute. */
  maxNewDirectsPerMinute: number;
  /** Groups created, per minute. */
  maxNewGroupsPerMinute: number;
  /** Users made members of groups by another, per minute. */
  maxNewMembersPerMinute: number;
}

/** How often an address, or everyone together, may do things on this node, by the names of the settings. */
export interface LoginRates {
  /** Logins on this node, per second. */
  maxLoginsPerSecond: number;
  /** Logins from one address, per minute. */
  maxLoginsPerAddressPerMinute: number;
  /** Logins from one address that are refused, per minute. */
  maxFailedLoginsPerAddressPerMinute: number;
}

/** The name of a limit of what a user does. */
export type UserRate = keyof UserRates;
/** The name of a limit of logins. */
export type LoginRate = keyof LoginRates;

/** The limits of what a user does, where nothing else is set. */
export const defaultUserRates: UserRates = {
  maxSendsPerSecond: 500,
  maxReadsPerSecond: 200,
  maxChangesPerSecond: 50,
  maxTypingPerSecond: 10,
  maxPresenceReadsPerSecond: 1_000,
  maxNewStreamsPerSecond: 20,
  maxNewDirectsPerMinute: 600,
  maxNewGroupsPerMinute: 300,
  maxNewMembersPerMinute: 20_000,
};

/** The limits of logins, where nothing else is set. */
export const defaultLoginRates: LoginRates = {
  maxLoginsPerSecond: 1_000,
  maxLoginsPerAddressPerMinute: 6_000,
  maxFailedLoginsPerAddressPerMinute: 3_000,
};

/** The name of each limit in messages for people. */
const things: Readonly<Record<UserRate | LoginRate, string>> = {
  maxLoginsPerSecond: "logins a second",
  maxLoginsPerAddressPerMinute: "logins a minute",
  maxFailedLoginsPerAddressPerMinute: "refused logins a minute",
  maxSendsPerSecond: "messages a second",
  maxReadsPerSecond: "reads a second",
  maxChangesPerSecond: "changes a second",
  maxTypingPerSecond: "words of typing a second",
  maxPresenceReadsPerSecond: "users a second whose presence is asked for",
  maxNewStreamsPerSecond: "new streams a second",
  maxNewDirectsPerMinute: "new direct conversations a minute",
  maxNewGroupsPerMinute: "new groups a minute",
  maxNewMembersPerMinute: "new members a minute",
};

/** How many seconds' worth of a limit per second may be had at once. One per minute may be had at once as a whole. */
const secondsAtOnce = 10;

/** Keeps how often each of many may do things, by limits that have names. */
export class RateLimits<Name extends UserRate | LoginRate> {
  readonly #buckets: Buckets;
  readonly #limits: Readonly<Record<Name, number>>;
  readonly #indexOf: ReadonlyMap<Name, number>;
  readonly #clock: Clock;

  /**
   * @param defaults the limits to keep, by name
   * @param limits how much each is
   */
  constructor(
    defaults: Readonly<Record<Name, number>>,
    limits: Readonly<Record<Name, number>>,
    clock: Clock,
  ) {
    const names = Object.keys(defaults) as Name[];
    this.#clock = clock;
    this.#buckets = new Buckets(
      names.map((name) => rateOf(name, limits[name])),
      clock.monotonic(),
    );
    this.#limits = limits;
    this.#indexOf = new Map(names.map((name, i) => [name, i]));
  }

  /**
   * Makes what takes from one limit, for those who ask often.
   *
   * @returns takes so many for whom a key names; throws ChatError RATE_LIMITED when there are none left
   */
  taker(name: Name): (key: string, count?: number) => void {
    const bucket = this.#index(name);
    return (key, count = 1) => {
      const waitMs = this.#buckets.take(key, bucket, count, this.#clock.monotonic());
      if (waitMs > 0) throw this.#refusal(name, key, waitMs);
    };
  }

  /** @throws ChatError RATE_LIMITED when a limit has none left; nothing is taken */
  check(name: Name, key: string): void {
    const waitMs = this.waitMs(name, key);
    if (waitMs > 0) throw this.#refusal(name, key, waitMs);
  }

  /** Returns after how many milliseconds a limit has one left; 0 when it has. */
  waitMs(name: Name, key: string): number {
    return this.#buckets.waitMs(key, this.#index(name), this.#clock.monotonic());
  }

  /** Takes one that was had already. */
  owe(name: Name, key: string): void {
    this.#buckets.owe(key, this.#index(name), 1, this.#clock.monotonic());
  }

  #index(name: Name): number {
    return this.#indexOf.get(name) as number;
  }

  #refusal(name: Name, key: string, waitMs: number): ChatError {
    const description = `${name}: at most ${this.#limits[name]} ${things[name]}`;
    return new ChatError(ErrorReason.RATE_LIMITED, `${description}; try again later`, {
      quota: { subject: subjectOf(name, key), description },
      retryAfterMs: Math.ceil(waitMs),
    });
  }
}

function rateOf(name: string, limit: number): Rate {
  return name.endsWith("PerMinute")
    ? { perSecond: limit / 60, atOnce: limit }
    : { perSecond: limit, atOnce: limit * secondsAtOnce };
}

/** Whose limit it is. Which address is not told: the caller may know themselves by another. */
function subjectOf(name: UserRate | LoginRate, key: string): string {
  if (name === "maxLoginsPerSecond") return "server";
  return name.includes("PerAddress") ? "address" : `user:${key}`;
}
