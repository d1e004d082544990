import type { Concatenate, Part } from "./frame-concatenation.ts";

/** The kinds of waiting entries; the kind decides whether one may be dropped. */
const Lane = { LOG: 0, REPLY: 1, EPHEMERAL: 2 } as const;
type Lane = (typeof Lane)[keyof typeof Lane];

interface Entry extends Part {
  readonly lane: Lane;
  /** The position of a log event, 0 for others. */
  readonly position: number;
  /** The entry that waits behind it: a list in which each entry knows the next, so that an idle outbox holds nothing. */
  next: Entry | undefined;
}

/** How an outbox is told of its limits and of what it hands out. */
export interface OutboxOptions {
  /** The most bytes of events it holds. Replies are bounded by the requests in flight instead. */
  maxBytes: number;
  /** The most bytes it hands to the transport at once, if more than one event. */
  chunkBytes: number;
  /** Makes one chunk of several events. */
  concatenate: Concatenate;
  /** Gets more events into the outbox, or resolves when there are none for now; called when it is empty and a reader waits. */
  refill: () => Promise<void> | undefined;
  /**
   * Called with the position of the last log event of each chunk, or 0: of one for a sink when it is handed out, of one
   * that is iterated over when the reader comes back, since it may fail to write it.
   */
  onTaken: (position: number) => void;
  /** Calls the outbox's `wake` soon. Without it readers are woken at once. */
  wakeSoon?: ((outbox: Outbox) => void) | undefined;
}

/**
 * Where an outbox is emptied to.
 *
 * @param chunk an encoded `StreamResponse`
 * @param taken to be called, not at once, when there is room for the next chunk
 */
export type Sink = (chunk: Uint8Array, taken: () => void) => void;

/**
 * Holds encoded events until the transport takes them. Pushing never waits;
 * what waits is handed out as one message, since encoded `StreamResponse`s
 * concatenate: one event when the reader is idle, many when it is behind.
 *
 * It has one reader: a sink, or whoever iterates over it.
 */
export class Outbox implements AsyncIterableIterator<Uint8Array> {
  readonly #options: OutboxOptions;
  #first: Entry | undefined;
  #last: Entry | undefined;
  #bytes = 0;
  #replies = 0;
  #wake: (() => void) | undefined;
  /** While a sink is being filled: ends that, since nothing more will be taken. */
  #abandon: (() => void) | undefined;
  /** The position of what was handed out and does not count as taken yet. */
  #given: number | undefined;
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
    this.#push(Lane.LOG, frame, position);
    return true;
  }

  /** Takes in an event of the log that was read on the reader's demand: there is always room. */
  pushRead(frame: Uint8Array, position: number): void {
    if (!this.#ended) this.#push(Lane.LOG, frame, position);
  }

  /** Takes an ephemeral event in, or drops it when the outbox is over half full. */
  pushEphemeral(frame: Uint8Array): void {
    if (this.#ended || this.#bytes > this.#options.maxBytes / 2) return;
    this.#push(Lane.EPHEMERAL, frame, 0);
  }

  /** Takes a reply in. Replies are never dropped. */
  pushReply(frame: Uint8Array): void {
    if (this.#ended) return;
    this.#replies++;
    this.#push(Lane.REPLY, frame, 0);
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
    let entry = this.#first;
    this.#first = undefined;
    this.#last = undefined;
    this.#bytes = 0;
    for (; entry !== undefined; entry = entry.next) {
      if (entry.lane === Lane.REPLY) this.#append(entry.lane, entry.frame, entry.position);
    }
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
    this.#first = undefined;
    this.#last = undefined;
    this.#bytes = 0;
    this.#replies = 0;
    this.#error = undefined;
    this.#given = undefined;
    this.#ended = true;
    this.wake();
    this.#abandon?.();
  }

  /**
   * Hands everything on to a sink, a chunk at a time, without the promises that
   * iterating costs. Resolves at the end of the outbox, rejects with its error.
   */
  pipe(sink: Sink): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#abandon = resolve;
    let busy = false;
    let refilling = false;
    const taken = () => {
      busy = false;
      run();
    };
    const refilled = () => {
      refilling = false;
      run();
    };
    const run = () => {
      if (busy) return;
      if (this.#first !== undefined) {
        busy = true;
        const chunk = this.#take();
        this.#confirm();
        sink(chunk, taken);
      } else if (this.#ended) {
        const error = this.#error;
        this.#error = undefined;
        if (error === undefined) resolve();
        else reject(error);
      } else {
        this.#wake = run;
        if (refilling) return;
        const refill = this.#options.refill();
        if (refill === undefined) return;
        refilling = true;
        refill.then(refilled, reject);
      }
    };
    run();
    return promise;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#confirm();
    for (;;) {
      if (this.#first !== undefined) return { done: false, value: this.#take() };
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
    if (this.#first !== undefined || this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #push(lane: Lane, frame: Uint8Array, position: number): void {
    this.#append(lane, frame, position);
    const { wakeSoon } = this.#options;
    if (lane !== Lane.REPLY) this.#bytes += frame.length;
    if (lane === Lane.REPLY || wakeSoon === undefined) this.wake();
    else if (this.#wake !== undefined && !this.#waking) {
      this.#waking = true;
      wakeSoon(this);
    }
  }

  #append(lane: Lane, frame: Uint8Array, position: number): void {
    const entry: Entry = { lane, frame, position, next: undefined };
    if (this.#last === undefined) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
  }

  /** Takes out as much as goes into one chunk. Not when nothing waits. */
  #take(): Uint8Array {
    const first = this.#first as Entry;
    let count = 0;
    let size = 0;
    let position = 0;
    let last = first;
    let entry: Entry | undefined = first;
    for (; entry !== undefined; entry = entry.next) {
      const { length } = entry.frame;
      if (count > 0 && size + length > this.#options.chunkBytes) break;
      count++;
      size += length;
      if (entry.lane === Lane.REPLY) this.#replies--;
      else this.#bytes -= length;
      if (entry.position > position) position = entry.position;
      last = entry;
    }
    this.#first = entry;
    if (entry === undefined) this.#last = undefined;
    const chunk = count === 1 ? first.frame : this.#options.concatenate(first, count, size);
    // Or what was taken would hold on to what comes after, and that to the next, in a part of the heap that is seldom
    // looked at: once one of them was there, all would follow.
    last.next = undefined;
    this.#given = position;
    return chunk;
  }

  /** Tells that what was handed out last counts as taken. */
  #confirm(): void {
    const position = this.#given;
    if (position === undefined) return;
    this.#given = undefined;
    this.#options.onTaken(position);
  }
}
