import type { Row } from "./row.ts";

/** What a case is told. */
export interface Context {
  /** Whether it is only to be shown that it runs: with tiny sizes, and figures that mean nothing. */
  quick: boolean;
  /** How many pairs to measure. */
  pairs: number;
  /** How long each sample takes. */
  seconds: number;
  /** How many sessions, where a case has a number of them. Default: as the case says. */
  sessions: number | undefined;
  /** The root of the sources of the server to measure. */
  source: string;
  /** Where servers leave CPU profiles; undefined for none. */
  profileDir: string | undefined;
  /** Tells people what goes on. */
  progress: (text: string) => void;
}

/** A benchmark. */
export interface Case {
  name: string;
  /** What is done. */
  work: string;
  run: (context: Context) => Promise<Row[]>;
}

/** Returns how many sessions a case has. */
export function sessionCount({ sessions, quick }: Context, full: number, tiny: number): number {
  return sessions ?? (quick ? tiny : full);
}
