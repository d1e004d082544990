/** How long a look is put off: at first, and at most, after looks that found nothing. */
const firstMs = 25;
const longestMs = 1_000;

/**
 * Looks something up in the store when it may have changed unheard: after a
 * moment, in which others may ask for the same, and twice as late after each
 * look that found nothing. So whatever a bus says, an idle store is asked about
 * once a second.
 */
export class PacedLook {
  readonly #look: () => Promise<boolean | undefined>;
  #waitMs = firstMs;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #again = false;
  #closed = false;

  /**
   * @param look returns whether there was something to find; undefined when it did not need to look. Must not reject
   */
  constructor(look: () => Promise<boolean | undefined>) {
    this.#look = look;
  }

  /** Has it looked up soon. Returns false when that is about to happen already. */
  ask(): boolean {
    if (this.#closed || this.#timer !== undefined) return false;
    if (this.#looking) {
      const first = !this.#again;
      this.#again = true;
      return first;
    }
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#lookNow();
    }, this.#waitMs);
    return true;
  }

  /** Looks no more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #lookNow(): Promise<void> {
    this.#looking = true;
    const found = await this.#look();
    this.#looking = false;
    if (found !== undefined) this.#waitMs = found ? firstMs : Math.min(longestMs, this.#waitMs * 2);
    const again = this.#again;
    this.#again = false;
    if (again) this.ask();
  }
}
