/**
 * The verdict on an event that was received: `new` is shown to the
 * application, `repeat` is dropped, and `gap` means that events before it were
 * not received: it is dropped, as all that follows on the stream, and another
 * stream has to be opened after `EventLog.resumePosition`.
 */
export type Verdict = "new" | "repeat" | "gap";

interface Head {
  seq: number;
  position: number;
}

/** Settings of an `EventLog`. */
export interface EventLogOptions {
  /**
   * Whether every log event of a conversation is asked for, so that seqs
   * without a gap can be expected. By default true.
   */
  gapless?: boolean | undefined;
}

/**
 * Decides which of the events a client receives its application sees: each
 * event of a conversation once, in the order of seq, whatever is repeated,
 * replayed or left out by streams that break.
 *
 * It remembers two numbers a conversation and knows nothing of transports.
 */
export class EventLog {
  readonly #heads = new Map<string, Head>();
  readonly #gapless: boolean;
  #epoch = "";
  #position = -1;
  #resumePosition = -1;
  #broken = false;
  #doubted: { conversationId: string; seq: number } | undefined;
  #repeats = 0;
  #gaps = 0;
  #acceptedGaps = 0;

  constructor({ gapless = true }: EventLogOptions = {}) {
    this.#gapless = gapless;
  }

  /** The epoch of the cursors; empty before the first. */
  get epoch(): string {
    return this.#epoch;
  }

  /**
   * The position after which a stream has to go on; -1 when nothing was
   * received. It is behind the last event when a gap has to be healed.
   */
  get resumePosition(): number {
    return this.#resumePosition;
  }

  /** How many events were dropped because they had been received before. */
  get repeats(): number {
    return this.#repeats;
  }

  /** How many times events were missing. */
  get gaps(): number {
    return this.#gaps;
  }

  /** How many of the gaps were still there after opening the stream again, and were taken as they are. */
  get acceptedGaps(): number {
    return this.#acceptedGaps;
  }

  /** Starts over with another stream. */
  startStream(): void {
    this.#broken = false;
  }

  /**
   * Takes notice of an event.
   *
   * @param enters whether the event makes this client's user a member, so that
   *   the seqs before it are not theirs to see
   */
  take(conversationId: string, seq: number, position: number, enters: boolean): Verdict {
    if (this.#broken) return "gap";
    const head = this.#heads.get(conversationId);
    if (head === undefined) {
      this.#heads.set(conversationId, { seq, position });
      this.#moveTo(position);
      return "new";
    }
    if (seq <= head.seq) {
      this.#repeats++;
      this.#moveTo(position);
      return "repeat";
    }
    if (seq > head.seq + 1 && this.#gapless && !enters && !this.#doubtedBefore(conversationId, seq)) {
      this.#gaps++;
      this.#broken = true;
      this.#doubted = { conversationId, seq };
      this.#resumePosition = Math.min(this.#resumePosition, head.position);
      return "gap";
    }
    head.seq = seq;
    head.position = position;
    this.#moveTo(position);
    return "new";
  }

  /** Takes notice of a message that was read from the history. Gaps between such messages are other events. */
  takeFromHistory(conversationId: string, seq: number): Verdict {
    const head = this.#heads.get(conversationId);
    if (head !== undefined && seq <= head.seq) {
      this.#repeats++;
      return "repeat";
    }
    if (head === undefined) this.#heads.set(conversationId, { seq, position: this.#position });
    else head.seq = seq;
    return "new";
  }

  /** Takes note that a conversation's events up to a seq are not to be expected any more. */
  skipTo(conversationId: string, seq: number, position: number): void {
    const head = this.#heads.get(conversationId);
    if (head === undefined) this.#heads.set(conversationId, { seq, position });
    else if (seq >= head.seq) {
      head.seq = seq;
      head.position = Math.max(head.position, position);
    }
  }

  /** Takes note of a cursor the server gave: everything up to it was received. */
  moveTo(epoch: string, position: number): void {
    this.#epoch = epoch;
    if (!this.#broken) this.#moveTo(position);
  }

  /** Returns the last seq received of a conversation, if any was. */
  lastSeq(conversationId: string): number | undefined {
    return this.#heads.get(conversationId)?.seq;
  }

  /** Forgets everything: the server's log is another one now. */
  reset(): void {
    this.#heads.clear();
    this.#epoch = "";
    this.#position = -1;
    this.#resumePosition = -1;
    this.#doubted = undefined;
  }

  #moveTo(position: number): void {
    if (position > this.#position) this.#position = position;
    // While a gap is being healed, what comes again brings the client forward
    // from there, not the events it already had.
    if (position > this.#resumePosition) this.#resumePosition = position;
  }

  /** Returns whether opening the stream again has left the very same gap: then the log is like that. */
  #doubtedBefore(conversationId: string, seq: number): boolean {
    const doubted = this.#doubted;
    if (doubted?.conversationId !== conversationId || doubted.seq !== seq) return false;
    this.#doubted = undefined;
    this.#acceptedGaps++;
    return true;
  }
}
