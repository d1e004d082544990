import type { AttackReport, Target } from "./attack.ts";

/** Counts what became of an attacker's calls. */
export class Tally {
  #answered = 0;
  #refused = 0;
  readonly #target: Pick<Target, "signal" | "going">;
  readonly #startMs = performance.now();

  constructor(target: Pick<Target, "signal" | "going">) {
    this.#target = target;
  }

  /** Counts a request that was answered. */
  answered(): void {
    this.#answered++;
    this.#target.going();
  }

  /** Counts a request that was refused. */
  refused(): void {
    this.#refused++;
    this.#target.going();
  }

  /** Waits for a call, which may fail. Those that the end of the attack cut off do not count. */
  async count(call: Promise<unknown>): Promise<void> {
    try {
      await call;
      this.answered();
    } catch {
      if (!this.#target.signal.aborted) this.refused();
    }
  }

  /**
   * Says how many there were in a second.
   *
   * @param what the calls, such as "sends"
   * @param most how many at most may have been answered: those at once, and those for each second; no bound by default
   */
  report(what: string, most = { atOnce: Number.POSITIVE_INFINITY, perSecond: 0 }): AttackReport {
    const seconds = (performance.now() - this.#startMs) / 1000;
    const per = (count: number) => Math.round(count / seconds);
    const allowed = most.atOnce + most.perSecond * (seconds + 1);
    return {
      figure: `${per(this.#answered)} ${what}/s answered, ${per(this.#refused)}/s refused`,
      problems:
        this.#answered > allowed
          ? [
              `${this.#answered} ${what} were answered in ${seconds.toFixed(1)} s, more than ${Math.round(allowed)}`,
            ]
          : [],
    };
  }
}
