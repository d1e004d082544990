import type { AttackReport, Target } from "./attack.ts";

/** Counts what became of an attacker's calls. */
export class Tally {
  #answered = 0;
  #refused = 0;
  readonly #signal: AbortSignal;
  readonly #startMs = performance.now();

  constructor({ signal }: Pick<Target, "signal">) {
    this.#signal = signal;
  }

  /** Waits for a call, which may fail. Those that the end of the attack cut off do not count. */
  async count(call: Promise<unknown>): Promise<void> {
    try {
      await call;
      this.#answered++;
    } catch {
      if (!this.#signal.aborted) this.#refused++;
    }
  }

  /** Says how many there were in a second. @param what the calls, such as "sends" */
  report(what: string): AttackReport {
    const seconds = (performance.now() - this.#startMs) / 1000;
    const per = (count: number) => Math.round(count / seconds);
    return {
      figure: `${per(this.#answered)} ${what}/s answered, ${per(this.#refused)}/s refused`,
      problems: [],
    };
  }
}
