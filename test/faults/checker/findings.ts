import type { History } from "../history.ts";
import type { Rule, Violation } from "./violation.ts";

/** How many violations of a rule are told; the others are counted. */
const maxTold = 20;

/** Collects violations: the first 20 of each rule, and how many more there were. */
export class Findings {
  readonly #rules = new Map<Rule, { told: Violation[]; more: number }>();

  /** Notes that a rule was broken. */
  add(rule: Rule, text: string): void {
    let found = this.#rules.get(rule);
    if (found === undefined) {
      found = { told: [], more: 0 };
      this.#rules.set(rule, found);
    }
    if (found.told.length < maxTold) found.told.push({ rule, text });
    else found.more++;
  }

  /** What was found, rule by rule; a rule with more than 20 has a last line with the number of the rest. */
  get violations(): Violation[] {
    return [...this.#rules].flatMap(([rule, { told, more }]) =>
      more === 0 ? told : [...told, { rule, text: `and ${more} more` }],
    );
  }
}

/** Tells where an entry is: the client, and the line of its file as `writeHistories` writes it. */
export function lineOf({ client }: History, index: number): string {
  return `${client} line ${index + 2}`;
}

/**
 * A place that moves through a history. It becomes text, as of `lineOf`, only
 * where a rule is broken: histories have millions of entries.
 */
export class Place {
  index = 0;
  /** The stream that the entry is of, where it is told. */
  stream: number | undefined;
  readonly #history: History;

  constructor(history: History) {
    this.#history = history;
  }

  toString(): string {
    const line = lineOf(this.#history, this.index);
    return this.stream === undefined ? line : `${line}, stream ${this.stream}`;
  }
}

/** Names an event for people. */
export function nameOf(event: { conversationId: string; seq: number; position: number }): string {
  return `${event.conversationId} seq ${event.seq} (position ${event.position})`;
}
