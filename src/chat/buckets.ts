/** How often something may be done: so much in the long run, and so much at once. */
export interface Rate {
  /** How many in a second in the long run; 0 for no limit. */
  perSecond: number;
  /** How many at once, by whoever did nothing for a while. */
  atOnce: number;
}

/** The most keys that are looked after at a time. */
const maxKeys = 50_000;
/** For how long a key that is not used stays known, in milliseconds: by then each of its buckets is full again. */
const keptMs = 60_000;

/**
 * Token buckets for many keys, such as users, a few for each. Nothing has to be
 * filled: a bucket is the moment at which it will be full again. So to take is
 * one look-up and a few sums, without a promise, a timer or an object, and keys
 * that are not used are forgotten: two tables take turns, and what was not used
 * for a turn goes with the older one.
 *
 * A rate whose `atOnce` takes more than a minute to fill is kept for a minute only.
 */
export class Buckets {
  readonly #msPerOne: readonly number[];
  readonly #spanMs: readonly number[];
  readonly #maxKeys: number;
  /** For each key, when each of its buckets will be full. */
  #current = new Map<string, Float64Array>();
  #previous = new Map<string, Float64Array>();
  #turnedMs: number;

  /**
   * @param rates of the buckets that each key has
   * @param nowMs the time on the monotonic clock, here and below
   * @param most keys a table holds; beyond that, those not used for longest are forgotten
   */
  constructor(rates: readonly Rate[], nowMs: number, most = maxKeys) {
    this.#msPerOne = rates.map(({ perSecond }) => (perSecond === 0 ? 0 : 1000 / perSecond));
    this.#spanMs = rates.map(({ perSecond, atOnce }) => (perSecond === 0 ? 0 : (atOnce * 1000) / perSecond));
    this.#maxKeys = most;
    this.#turnedMs = nowMs;
  }

  /**
   * Takes from a bucket, all or nothing. What is more than a bucket holds takes all of it.
   *
   * @returns 0, or after how many milliseconds there will be enough
   */
  take(key: string, bucket: number, count: number, nowMs: number): number {
    const msPerOne = this.#msPerOne[bucket] as number;
    if (msPerOne === 0) return 0;
    const spanMs = this.#spanMs[bucket] as number;
    const full = this.#of(key, nowMs);
    const next = Math.max(full[bucket] as number, nowMs) + Math.min(count * msPerOne, spanMs);
    const missingMs = next - nowMs - spanMs;
    // Sums of fractions are not exact.
    if (missingMs > 1e-6) return missingMs;
    full[bucket] = next;
    return 0;
  }

  /** Takes from a bucket what has been had already, if need be more than there is: it is missing later. */
  owe(key: string, bucket: number, count: number, nowMs: number): void {
    const full = this.#of(key, nowMs);
    full[bucket] = Math.max(full[bucket] as number, nowMs) + count * (this.#msPerOne[bucket] as number);
  }

  /** Returns after how many milliseconds there will be one in a bucket; 0 when there is. */
  waitMs(key: string, bucket: number, nowMs: number): number {
    const full = this.#of(key, nowMs)[bucket] as number;
    const waitMs = full - nowMs + (this.#msPerOne[bucket] as number) - (this.#spanMs[bucket] as number);
    return waitMs > 1e-6 ? waitMs : 0;
  }

  /** How many keys are known. */
  get size(): number {
    return this.#current.size + this.#previous.size;
  }

  #of(key: string, nowMs: number): Float64Array {
    if (nowMs - this.#turnedMs > keptMs || this.#current.size >= this.#maxKeys) {
      this.#previous = this.#current;
      this.#current = new Map();
      this.#turnedMs = nowMs;
    }
    let full = this.#current.get(key);
    if (full === undefined) {
      full = this.#previous.get(key) ?? new Float64Array(this.#msPerOne.length);
      this.#previous.delete(key);
      this.#current.set(key, full);
    }
    return full;
  }
}
