import { v7 as uuidv7 } from "uuid";
import type { EphemeralMessage, LogMessage } from "../bus/bus.ts";
import type { Caller } from "../model/caller.ts";
import type { Clock } from "../model/clock.ts";
import type { ChatError } from "../model/errors.ts";
import type { Concatenate } from "./frame-concatenation.ts";
import { Outbox } from "./outbox.ts";
import type { WakeQueue } from "./wake-queue.ts";

/** The options of a session. */
export interface SessionOptions {
  caller: Caller;
  /** How often the device was opened, this time included: of two sessions of a device the higher is the newer. */
  opens: number;
  outboxMaxBytes: number;
  maxAgeMs: number;
  clock: Clock;
  /** A bit for each kind of event the session wants, `1 << EventKind`. 0: all. */
  kinds: number;
  /** Reads the log for a session that is behind. */
  catchUp: (session: Session) => Promise<void>;
  /** Makes one message of several events. */
  concatenate: Concatenate;
  /** Wakes readers of events. */
  wakeQueue: WakeQueue;
  /** Ends the call when its reader does not take the end of the session. */
  kill: (error: ChatError) => void;
  /** Called with the position of events handed to the transport, where the session acknowledges by itself. */
  onTaken: ((position: number) => void) | undefined;
}

/** Conversations with events that are not replayed, and of which the reader is still to be told. */
export interface Untold {
  /** Where the replay would have started. */
  afterPosition: number;
  /** The page to go on with; see `Store.listMissed`. */
  from: number;
}

/** How long a reader may leave the end of its session untaken before its call is ended by force. */
export const stuckAfterMs = 2_000;
const nobody: ReadonlySet<string> = new Set();
/** The most bytes in one message of a stream that holds several events. */
const chunkBytes = 16_384;

/**
 * One open `Stream` or `Listen` call of one device.
 *
 * A session is *live*, taking events as they come, or *behind*, reading the log
 * after `through` whenever its reader has taken everything else. It starts
 * behind, and falls behind again when its outbox overflows.
 */
export class Session {
  readonly sessionId = uuidv7();
  readonly caller: Caller;
  readonly opens: number;
  readonly outbox: Outbox;
  /** When it opened, on the monotonic clock. */
  readonly openTimeMs: number;
  /** After how long it is asked to reconnect. */
  readonly maxAgeMs: number;
  /** The part of what is not replayed of which its reader was not told yet. Nothing is read from the log before. */
  untold: Untold | undefined;
  /** Users whose presence it watches. */
  watched: ReadonlySet<string> = nobody;

  /** Everything of the user's up to this position is in the outbox or was handed out. */
  #through = 0;
  /** While behind: live events since the last read began; undefined once they were too many. */
  #tail: LogMessage[] | undefined;
  #tailBytes = 0;
  #behind = true;
  #caughtUp = false;
  #reading: Promise<void> | undefined;
  readonly #clock: Clock;
  readonly #kinds: number;
  readonly #kill: (error: ChatError) => void;
  readonly #maxBytes: number;
  #endingSinceMs: number | undefined;
  #endError: ChatError | undefined;
  #inFlight = 0;
  #finishing = false;
  #onAnswered: (() => void) | undefined;
  /** While draining: the last event to send. */
  #lastFrame: Uint8Array | undefined;

  constructor(options: SessionOptions) {
    this.caller = options.caller;
    this.#clock = options.clock;
    this.openTimeMs = options.clock.monotonic();
    this.opens = options.opens;
    this.#kinds = options.kinds;
    this.#kill = options.kill;
    this.maxAgeMs = options.maxAgeMs;
    this.#maxBytes = options.outboxMaxBytes;
    this.outbox = new Outbox({
      maxBytes: options.outboxMaxBytes,
      chunkBytes,
      concatenate: options.concatenate,
      wakeSoon: (outbox) => options.wakeQueue.add(outbox),
      refill: () => {
        if (!this.#behind || this.#endingSinceMs !== undefined) return undefined;
        this.#reading ??= options.catchUp(this).finally(() => {
          this.#reading = undefined;
        });
        return this.#reading;
      },
      onTaken: (position) => {
        if (position > 0) options.onTaken?.(position);
        this.#onAnswered?.();
        this.#onAnswered = undefined;
      },
    });
  }

  /** Whether it takes events as they come. */
  get live(): boolean {
    return !this.#behind;
  }

  /** Everything of the user's up to this position was dealt with. */
  get through(): number {
    return this.#through;
  }

  /** Whether it is about to end. */
  get ending(): boolean {
    return this.#endingSinceMs !== undefined;
  }

  /** Sets where the session starts to read the log. Before anything is delivered. */
  startAfter(position: number): void {
    this.#through = position;
  }

  /** Begins to note live events, because the log is about to be read. */
  beginRead(): void {
    this.#tail = [];
    this.#tailBytes = 0;
  }

  /** Puts an event that was read from the log into the outbox. */
  pushRead(kind: number, frame: Uint8Array, position: number): void {
    if (this.#wants(kind)) this.outbox.pushRead(frame, position);
  }

  /**
   * Ends a read: everything up to `through` is in the outbox.
   *
   * @param more whether the log has more to read
   * @returns whether the session is live now
   */
  endRead(through: number, more: boolean): boolean {
    this.#through = Math.max(this.#through, through);
    const tail = this.#tail;
    if (more || tail === undefined) return false;
    this.#tail = undefined;
    this.#behind = false;
    for (const message of tail) this.deliver(message);
    return this.live;
  }

  /** Delivers an event. Never waits, never throws. */
  deliver(message: LogMessage): void {
    if (this.#behind) {
      this.#note(message);
      return;
    }
    if (message.position <= this.#through) return;
    if (this.#wants(message.kind) && !this.outbox.pushLog(message.frame, message.position)) {
      // Too slow: once it has taken what waits, it reads the log at its own pace.
      this.#behind = true;
      return;
    }
    this.#through = message.position;
  }

  /** Has the session read the log after what it has, since live events may lack some that are the user's. */
  fallBehind(): void {
    if (this.#endingSinceMs !== undefined) return;
    this.#behind = true;
    // A read that is under way may have begun too early to find them.
    this.#tail = undefined;
    this.outbox.wake();
  }

  /** Delivers an event that nothing keeps, unless the reader is slow. */
  deliverEphemeral(message: Pick<EphemeralMessage, "kind" | "frame">): void {
    if (this.#wants(message.kind)) this.outbox.pushEphemeral(message.frame);
  }

  /** Tells the reader, the first time the session gets live, that it has caught up. */
  announceCaughtUp(frame: () => Uint8Array): void {
    if (!this.#caughtUp) {
      this.#caughtUp = true;
      this.reply(frame());
    }
    this.#endIfDone();
  }

  /** Puts a reply, or an event that steers the session, into the outbox. */
  reply(frame: Uint8Array): void {
    this.outbox.pushReply(frame);
  }

  /** Notes that a request was taken in. */
  began(): void {
    this.#inFlight++;
  }

  /** Notes that a request was answered. */
  settled(): void {
    this.#inFlight--;
    this.#endIfDone();
    this.#onAnswered?.();
    this.#onAnswered = undefined;
  }

  /** Resolves when a request was answered or the reader has taken something. For one waiter. */
  answered(): Promise<void> {
    return new Promise((resolve) => {
      this.#onAnswered = resolve;
    });
  }

  /** Notes that no more requests come: the session ends once they are answered and it has caught up. */
  finish(): void {
    this.#finishing = true;
    this.#endIfDone();
  }

  /** Whether it was asked to reconnect. */
  get drained(): boolean {
    return this.#lastFrame !== undefined;
  }

  /** Whether requests are still taken in. */
  get takesRequests(): boolean {
    return !this.ending && !this.drained;
  }

  /** Asks the reader to reconnect: no more requests are taken in, those in flight are answered, then the session ends. */
  drain(drainFrame: Uint8Array, lastFrame: Uint8Array): void {
    if (this.drained || this.ending) return;
    this.#lastFrame = lastFrame;
    this.reply(drainFrame);
    this.#endIfDone();
  }

  /** Requests taken in and not yet answered. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Begins to end the session: nothing more is delivered. The reader gets what
   * waits, then `lastFrame`, then the end; with an error, only replies, then
   * `lastFrame`, then the error.
   */
  end(lastFrame: Uint8Array | undefined, error: ChatError | undefined): void {
    if (this.#endingSinceMs !== undefined) return;
    this.#endingSinceMs = this.#clock.monotonic();
    this.#endError = error;
    this.#behind = false;
    if (error !== undefined) this.outbox.dropEvents();
    if (lastFrame !== undefined) this.outbox.pushReply(lastFrame);
    this.outbox.end(error);
  }

  /** Ends the call by force when its reader has not taken the end for 2 s. Called every second. */
  killIfStuck(nowMs: number, fallback: () => ChatError): void {
    if (this.#endingSinceMs !== undefined && nowMs - this.#endingSinceMs > stuckAfterMs) {
      this.outbox.discard();
      this.#kill(this.#endError ?? fallback());
    }
  }

  #endIfDone(): void {
    if (this.#inFlight > 0) return;
    if (this.#lastFrame !== undefined) this.end(this.#lastFrame, undefined);
    else if (this.#finishing && this.live) this.end(undefined, undefined);
  }

  #note(message: LogMessage): void {
    if (this.#tail === undefined) return;
    this.#tailBytes += message.frame.length;
    if (this.#tailBytes > this.#maxBytes) this.#tail = undefined;
    else this.#tail.push(message);
  }

  #wants(kind: number): boolean {
    return this.#kinds === 0 || (kind < 32 && (this.#kinds & (1 << kind)) !== 0);
  }
}
