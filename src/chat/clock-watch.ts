import type { Clock } from "../model/clock.ts";
import type { Logger } from "../model/logger.ts";

/** The difference or jump of clocks that is not worth a warning, in milliseconds. */
const toleranceMs = 5_000;

/** Says, once each time, when this machine's wall clock jumps, and when the log's times are ahead of it. */
export class ClockWatch {
  readonly #log: Pick<Logger, "warn">;
  readonly #clock: Clock;
  /** By how much the wall clock was ahead of the monotonic one when they were compared last. */
  #offsetMs: number;
  /** Whether the log's times were ahead when one was seen last. */
  #isLogAhead = false;

  constructor(log: Pick<Logger, "warn">, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    this.#offsetMs = clock.now() - clock.monotonic();
  }

  /** Compares the wall clock with the monotonic one. Called every second. */
  check(): void {
    const offsetMs = this.#clock.now() - this.#clock.monotonic();
    const jumpMs = offsetMs - this.#offsetMs;
    this.#offsetMs = offsetMs;
    if (Math.abs(jumpMs) <= toleranceMs) return;
    const direction = jumpMs > 0 ? "ahead" : "back";
    this.#log.warn({ seconds: inSeconds(Math.abs(jumpMs)) }, `the clock jumped ${direction}`);
  }

  /**
   * Takes note of when the last event was accepted. Accept times never go back:
   * once a clock was ahead, later ones stay there until the clocks have caught up.
   */
  saw(acceptTimeMs: number): void {
    const aheadMs = acceptTimeMs - this.#clock.now();
    const isAhead = aheadMs > toleranceMs;
    if (isAhead && !this.#isLogAhead) {
      this.#log.warn(
        { seconds: inSeconds(aheadMs) },
        "the log's times are ahead of the clock, as a clock was ahead once; messages get the same time until it has caught up",
      );
    }
    this.#isLogAhead = isAhead;
  }
}

function inSeconds(ms: number): number {
  return Math.round(ms / 1000);
}
