/** What an attack is, and what it tells of itself. */

import type { Connection } from "../../support/connect.ts";

/** Whom an attack is aimed at. Everything it opens has to end when the signal aborts. */
export interface Target {
  /** The gRPC port, as `host:port`. */
  address: string;
  /** The HTTP port, as `host:port`. */
  httpAddress: string;
  random: () => number;
  signal: AbortSignal;
  /** Tells that the attack is under way, so that measuring begins. `Tally` does so by its first request. */
  going: () => void;
  /** Opens a connection of its own, as a client from the attacker's one address, and closes it in the end. */
  connect: (token?: string) => Connection;
}

/** What an attack did. */
export interface AttackReport {
  /** In words and numbers, short. */
  figure: string;
  /** What the server let it do that it must not, in a sentence each. */
  problems: string[];
}

/** Something one user or one address does at full speed. */
export interface Attack {
  /** Short and unique, such as `send-flood`. */
  name: string;
  /** Its number in the list of faults, such as `D1`. */
  id: string;
  /** What is done, as a phrase. */
  title: string;
  /** Further options of `parlance serve`. */
  args?: readonly string[];
  /** Whether it also runs after the tests: only where what it costs others is far within the bounds. By default false. */
  ci?: boolean;
  /** How much more memory the server may take meanwhile, in MB; by default 128. */
  maxGrowthMb?: number;
  /** Makes what the attack needs, such as messages to read, before anything is measured. In the attacker's process. */
  prepare?: (target: Target) => Promise<void>;
  /** Goes on until the signal aborts. In the attacker's process, which has a processor for itself where there are two. */
  run: (target: Target) => Promise<AttackReport>;
}
