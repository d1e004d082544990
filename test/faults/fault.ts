/** What a fault is, and what its run reports. */

import type { Violation } from "./checker/violation.ts";
import type { FaultContext } from "./context.ts";

/** One way to disturb a running service, and what must hold nevertheless. */
export interface Fault {
  /** Short and unique, such as `kill-storm`. */
  name: string;
  /** Its number in the list of faults, such as `P1`. */
  id: string;
  /** What is done, as a phrase. */
  title: string;
  /** What the figure tells, such as "acknowledged messages lost, recovery time". */
  figureTitle: string;
  /** Whether it belongs to the subset that `.ci/run` runs after the tests. */
  ci: boolean;
  /** Tells why it cannot run on this machine; undefined when it can. */
  missing?: () => string | undefined;
  run: (context: FaultContext) => Promise<Outcome>;
}

/** What a fault's run found. */
export interface Outcome {
  /** How many times it was injected. */
  rounds: number;
  violations: Violation[];
  /** In words and numbers, short. */
  figure: string;
}

/** A line of the report. */
export interface Row {
  name: string;
  id: string;
  title: string;
  rounds: number;
  /** How many rules were broken. */
  violations: number;
  figure: string;
  seconds: number;
  seed: number;
  /** What was broken; the first 20. */
  broken: Violation[];
  /** Why it did not run. Such a row has no rounds. */
  skipped?: string;
}
