/** Judges a run by the histories of its clients and a dump of the store. */

import type { Dump } from "../dump.ts";
import type { History } from "../history.ts";
import { checkDense } from "./dense.ts";
import { checkDurable } from "./durable.ts";
import { checkErrors } from "./errors.ts";
import { Findings } from "./findings.ts";
import { LogIndex } from "./log-index.ts";
import { MembershipTimeline } from "./membership-timeline.ts";
import { checkNoPhantom } from "./no-phantom.ts";
import { checkOneEffect } from "./one-effect.ts";
import { attemptsOf } from "./operations.ts";
import { checkShown } from "./shown-events.ts";
import { checkStreams } from "./streams.ts";
import type { Violation } from "./violation.ts";

/** What to judge, and what the fault is expected to bring about. */
export interface CheckOptions {
  /** Of everyone who did something; messages of others are phantoms. */
  histories: readonly History[];
  /** Read after everything has happened. */
  dump: Dump;
  /** Clients that have to have received everything due up to the end of the dump: the names of their histories. */
  expectCaughtUp?: readonly string[];
  /**
   * Whether a backup was restored during the run. What clients saw and were
   * told before they learned of the new epoch is then not held against the
   * dump. Without it, another epoch or a client that has to start over is a
   * violation.
   */
  restored?: boolean;
  /**
   * Whether SDK clients may have missed more than a stream replays. They then
   * read messages from the history, of the conversations they are still in, and
   * are not shown other events.
   */
  sdkBehind?: boolean;
  /** Whether others sent messages, too, of whom there is no history. */
  othersSend?: boolean;
  /** Whether INTERNAL with the reason UNSPECIFIED is honest: the fault makes the server throw. */
  allowInternal?: boolean;
  /** Reasons that only a fault gives rise to, and this one does, such as `STORAGE_FULL`. */
  allowReasons?: readonly string[];
}

/**
 * Evaluates the rules I1 to I9, I12 and I14, in time that grows with the number
 * of entries and of events.
 *
 * @returns what was broken: of each rule the first 20, and how many more
 */
export function check(options: CheckOptions): Violation[] {
  const { histories, dump, expectCaughtUp = [], restored = false, sdkBehind = false } = options;
  const findings = new Findings();
  const log = new LogIndex(dump);
  const timeline = new MembershipTimeline(
    dump.events,
    histories.map(({ userId }) => userId),
  );
  const starts = new Map(histories.map((history) => [history, restored ? startIn(dump, history) : 0]));
  const startOf = (history: History) => starts.get(history) as number;

  const attempts = histories.flatMap((history) => attemptsOf(history, startOf(history)));
  checkDense(log, findings);
  checkDurable(attempts, log, findings);
  if (!options.othersSend) checkNoPhantom(attempts, log, timeline, findings);
  checkOneEffect(attempts, log, findings);

  const expected = new Set(expectCaughtUp);
  const allowReasons = new Set(options.allowReasons);
  if (restored) allowReasons.add("CURSOR_OF_ANOTHER_EPOCH").add("CURSOR_IN_FUTURE");
  const errorRules = { allowInternal: options.allowInternal ?? false, allowReasons };
  for (const history of histories) {
    const rules = { log, timeline, findings, expectCaughtUp: expected.delete(history.client) };
    if (history.kind === "raw") checkStreams(history, startOf(history), rules);
    else checkShown(history, startOf(history), { ...rules, restored, sdkBehind });
    checkErrors(history, errorRules, findings);
  }
  for (const client of expected) findings.add("I12", `${client} has no history`);
  return findings.violations;
}

/** Returns the first entry of a client that knows the dump's epoch: where it was told so, or 0 if it knew no other. */
function startIn({ epoch }: Dump, { kind, entries }: History): number {
  if (kind === "sdk")
    return entries.findLastIndex((entry) => entry.type === "end" && entry.closed === "RESET") + 1;
  const opened = entries.findIndex((entry) => entry.type === "opened" && entry.epoch === epoch);
  const former = entries.findIndex((entry) => entry.type === "opened" && entry.epoch !== epoch);
  if (former < 0 || (opened >= 0 && opened < former)) return 0;
  return opened < 0 ? entries.length : opened;
}
