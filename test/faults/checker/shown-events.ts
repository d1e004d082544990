import type { DumpEvent } from "../dump.ts";
import type { History, SeenEvent } from "../history.ts";
import { type Findings, nameOf, Place } from "./findings.ts";
import { indexAbove } from "./log-index.ts";
import { checkAgreement } from "./sightings.ts";
import type { StreamRules } from "./streams.ts";

/** What the events of an application are held against. */
export interface ShownRules extends StreamRules {
  /** Whether the store was restored meanwhile, so that clients have to start over. */
  restored: boolean;
  /** Whether clients may have read messages from the history, without the events between them. */
  sdkBehind: boolean;
}

/**
 * Checks what the SDK showed to an application: I4 Agreement, I5 Ordered and
 * unique over all streams, I6 Reliable in each conversation, I9 MembersOnly,
 * and I12 Live where it is expected.
 *
 * @param from the first entry that the dump's store has to do with
 */
export function checkShown(history: History, from: number, rules: ShownRules): void {
  let application = new Application(history, rules, from === 0);
  const where = new Place(history);
  history.entries.forEach((entry, index) => {
    where.index = index;
    switch (entry.type) {
      case "opened":
        application.start(entry.position);
        return;
      case "shown":
        application.show(where, entry.event);
        return;
      case "caught-up":
        application.catchUp(where, entry.position);
        return;
      case "end":
        if (entry.closed !== "RESET") return;
        if (!rules.restored) rules.findings.add("I7", `${where}: was told to start over without a reason`);
        application.end();
        application = new Application(history, rules, index + 1 >= from);
    }
  });
  application.end();
  if (rules.expectCaughtUp) application.expectAll();
}

/** An application from its start, or from being told to start over. */
class Application {
  readonly #client: string;
  readonly #userId: string;
  readonly #rules: ShownRules;
  readonly #findings: Findings;
  /** Whether its events can be compared with the dump: the store is the same. */
  readonly #current: boolean;
  readonly #due: readonly DumpEvent[];
  /** Which of the events due were shown, or are known to be missing. */
  readonly #settled: Uint8Array;
  /** Everything due after this position has to be shown; undefined while that is not known. */
  #start: number | undefined;
  /** Up to which of the events due it was said to have caught up. */
  #caughtUp = 0;
  /** The last seq shown of each conversation. */
  readonly #heads = new Map<string, number>();
  /** The same since the application's process started. */
  #lastSeqs = new Map<string, number>();

  constructor({ client, userId }: History, rules: ShownRules, current: boolean) {
    this.#client = client;
    this.#userId = userId;
    this.#rules = rules;
    this.#findings = rules.findings;
    this.#current = current;
    this.#due = rules.timeline.due(userId);
    this.#settled = new Uint8Array(this.#due.length);
  }

  /** Notes that a process of the application starts. What an earlier one was shown and did not acknowledge comes again. */
  start(position: number): void {
    this.#start ??= position;
    this.#lastSeqs = new Map();
  }

  show(where: Place, seen: SeenEvent): void {
    const { conversationId, seq } = seen;
    const lastSeq = this.#lastSeqs.get(conversationId) ?? 0;
    if (seq <= lastSeq) {
      this.#findings.add("I5", `${where}: ${nameOf(seen)} was shown after seq ${lastSeq}`);
      return;
    }
    this.#lastSeqs.set(conversationId, seq);
    if (!this.#current) return;
    const { log, timeline } = this.#rules;
    const stored = checkAgreement(where, seen, log, this.#findings);
    if (stored === undefined) return;
    this.#heads.set(conversationId, Math.max(seq, this.#heads.get(conversationId) ?? 0));
    this.#start ??= stored.position - 1;
    const index = indexAbove(this.#due, stored.position - 1);
    if (this.#due[index] === stored) this.#settled[index] = 1;
    else if (!timeline.maySee(this.#userId, stored))
      this.#findings.add("I9", `${where}: ${this.#userId} was shown ${nameOf(stored)} and is not to see it`);
  }

  catchUp(where: Place, position: number): void {
    if (!this.#current) return;
    this.#start ??= position;
    for (; this.#caughtUp < this.#due.length; this.#caughtUp++) {
      const event = this.#due[this.#caughtUp] as DumpEvent;
      if (event.position > position) return;
      if (!this.#isMissing(this.#caughtUp)) continue;
      this.#settled[this.#caughtUp] = 1;
      this.#findings.add("I6", `${where}: caught up to ${position} without ${nameOf(event)}`);
    }
  }

  /** Finds holes: what was left out before the last event shown of each conversation. */
  end(): void {
    if (!this.#current) return;
    this.#due.forEach((event, index) => {
      const { conversationId, seq } = event;
      if (seq >= (this.#heads.get(conversationId) ?? 0) || !this.#isMissing(index)) return;
      this.#settled[index] = 1;
      this.#findings.add("I6", `${this.#client} was never shown ${nameOf(event)}, but later ones of it`);
    });
  }

  /** Finds what is due up to the end of the log and was not shown. */
  expectAll(): void {
    const missing = this.#due.filter((_, index) => this.#isMissing(index));
    if (missing[0] === undefined) return;
    const text = `${this.#client} was never shown ${missing.length} events, from ${nameOf(missing[0])} on`;
    this.#findings.add("I12", text);
  }

  #isMissing(index: number): boolean {
    const event = this.#due[index] as DumpEvent;
    if (this.#settled[index] === 1 || event.position <= (this.#start ?? 0)) return false;
    // What an SDK does not know it counts and shows to nobody.
    if (event.kind === "other") return false;
    const { sdkBehind, timeline } = this.#rules;
    // The history has messages alone, and of the groups that the user is in.
    return !sdkBehind || (event.kind === "message" && timeline.isLasting(this.#userId, event));
  }
}
