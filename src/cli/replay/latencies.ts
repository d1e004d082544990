/** Collects durations and tells their percentiles. */
export class Latencies {
  #values = new Float64Array(1024);
  #count = 0;
  #sorted = true;

  /** Adds a duration in milliseconds. */
  add(ms: number): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(this.#count * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#count++] = ms;
    this.#sorted = false;
  }

  /** Returns the duration that a share (0 to 1) of all do not exceed; 0 when there are none. */
  percentile(share: number): number {
    const values = this.#values.subarray(0, this.#count);
    if (!this.#sorted) values.sort();
    this.#sorted = true;
    return values[Math.min(this.#count - 1, Math.floor(share * this.#count))] ?? 0;
  }
}
