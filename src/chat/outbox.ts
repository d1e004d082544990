/** What kind of thing waits, which decides whether it may be dropped. */
const Lane = { LOG: 0, REPLY: 1, EPHEMERAL: 2 } as const;
type Lane = (typeof Lane)[keyof typeof Lane];

interface Entry {
  lane: Lane;
  /** An encoded `StreamResponse`. */
  frame: Uint8Array;
  /** The position of a log event, 0 for others. */
  position: number;
}

/** How an outbox is told of its limits and of what it hands out. */
export interface OutboxOptions {
  /** The most bytes of events it holds. Replies are bounded by the requests in flight instead. */
  maxBytes: number;
  /** The most bytes it hands to the transport at once, if more than one event. */
  chunkBytes: number;
  /** Gets more events into the outbox, or resolves when there are none for now; called when it is empty and a reader waits. */
  refill: () => Promise<void> | undefined;
  /** Called after each chunk handed out, with the position of its last log event, or 0. */
  onTaken: (position: number) => void;
  /** Calls the outbox's `wake` soon. Without it readers are woken at once. */
  wakeSoon?: ((outbox: Outbox) => void) | undefined;
}

/**
 * Holds encoded events until the transport takes them. Pushing never waits;
 * what waits is handed out as one message, since encoded `StreamResponse`s
 * concatenate: one event when the reader is idle, many when it is behind.
 *
 * It has one reader and is its async iterator.
 */
export class Outbox implements AsyncIterableIterator<Uint8Array> {
  readonly #options: OutboxOptions;
  #entries: Entry[] = [];
  #bytes = 0;
  #replies = 0;
  #wake: (() => void) | undefined;
  /** Whether a wake-up is on its way. */
  #waking = false;
  #ended = false;
  #error: unknown;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Bytes of events that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Replies that wait. */
  get replies(): number {
    return this.#replies;
  }

  /** Whether nothing further will be taken in. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Takes a log event in.
   *
   * @returns whether there was room; when not, the session has to read it from
   * the log once the reader has taken what waits
   */
  pushLog(frame: Uint8Array, position: number): boolean {
    if (this.#ended) return true;
    if (this.#bytes > 0 && this.#bytes + frame.length > this.#options.maxBytes) return false;
    this.#push({ lane: Lane.LOG, frame, position });
    return true;
  }

  /** Takes in an event of the log that was read on the reader's demand: there is always room. */
  pushRead(frame: Uint8Array, position: number): void {
    if (!this.#ended) this.#push({ lane: Lane.LOG, frame, position });
  }

  /** Takes an ephemeral event in, or drops it when the outbox is over half full. */
  pushEphemeral(frame: Uint8Array): void {
    if (this.#ended || this.#bytes > this.#options.maxBytes / 2) return;
    this.#push({ lane: Lane.EPHEMERAL, frame, position: 0 });
  }

  /** Takes a reply in. Replies are never dropped. */
  pushReply(frame: Uint8Array): void {
    if (this.#ended) return;
    this.#replies++;
    this.#push({ lane: Lane.REPLY, frame, position: 0 });
  }

  /** Has a waiting reader look again: for what was pushed, or what `refill` may find now. */
  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    this.#waking = false;
    wake?.();
  }

  /** Drops what waits, except replies. */
  dropEvents(): void {
    this.#entries = this.#entries.filter((entry) => entry.lane === Lane.REPLY);
    this.#bytes = 0;
  }

  /** Takes nothing more in. The reader gets what waits, then the end, or the error. */
  end(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.wake();
  }

  /** Drops everything; the reader gets the end. For when there is no reader any more. */
  discard(): void {
    this.#entries = [];
    this.#bytes = 0;
    this.#replies = 0;
    this.#error = undefined;
    this.#ended = true;
    this.wake();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      if (this.#entries.length > 0) return { done: false, value: this.#take() };
      if (this.#ended) {
        const error = this.#error;
        this.#error = undefined;
        if (error !== undefined) throw error;
        return { done: true, value: undefined };
      }
      const refill = this.#options.refill();
      if (refill !== undefined) {
        // A reply may come while the log is read; the reader should not wait for the read then.
        await Promise.race([refill, this.#pushed()]);
      } else {
        await this.#pushed();
      }
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.discard();
    return { done: true, value: undefined };
  }

  #pushed(): Promise<void> {
    if (this.#entries.length > 0 || this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #push(entry: Entry): void {
    this.#entries.push(entry);
    const { wakeSoon } = this.#options;
    if (entry.lane !== Lane.REPLY) this.#bytes += entry.frame.length;
    if (entry.lane === Lane.REPLY || wakeSoon === undefined) this.wake();
    else if (this.#wake !== undefined && !this.#waking) {
      this.#waking = true;
      wakeSoon(this);
    }
  }

  #take(): Uint8Array {
    const entries = this.#entries;
    let count = 0;
    let size = 0;
    let position = 0;
    for (const entry of entries) {
      if (count > 0 && size + entry.frame.length > this.#options.chunkBytes) break;
      count++;
      size += entry.frame.length;
      if (entry.lane === Lane.REPLY) this.#replies--;
      else this.#bytes -= entry.frame.length;
      if (entry.position > position) position = entry.position;
    }
    let chunk: Uint8Array;
    if (count === 1) {
      chunk = (entries[0] as Entry).frame;
    } else {
      const joined = Buffer.allocUnsafe(size);
      let at = 0;
      for (let i = 0; i < count; i++) {
        const { frame } = entries[i] as Entry;
        joined.set(frame, at);
        at += frame.length;
      }
      chunk = joined;
    }
    this.#entries = count === entries.length ? [] : entries.slice(count);
    this.#options.onTaken(position);
    return chunk;
  }
}
