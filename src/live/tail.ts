import type { LogFramer } from "../../wire/event-frame.ts";
import type { LogEvent } from "../../wire/log-event.ts";
import type { LogMessage, NoticeMessage } from "../bus/bus.ts";
import type { LogStore } from "../store/ports/log.ts";
import { PacedLook } from "./paced-look.ts";
import { logMessage } from "./publisher.ts";

/** How often the log's end is read in any case: what no later message would reveal is found then. */
const pollMs = 1_000;
/** How often it is read while the bus is cut off. */
const cutOffPollMs = 200;
/** The most events read at once; when more wait, the next read follows at once. */
const pageEvents = 1_000;
/** The most positions remembered out of order. Beyond them everything is read. */
const maxPending = 65_536;

/** The options of the tail. */
export interface TailOptions {
  store: Pick<LogStore, "readTail">;
  frame: LogFramer;
  /** The last position of the log when the node began to listen. */
  seen: number;
  /** Whether messages of other nodes arrive at all now. */
  connected: () => boolean;
  /** Whether somebody on this node gets what was published on these subjects. */
  concernsSubjects: (subjects: readonly string[]) => boolean;
  /** Whether somebody on this node gets an event. */
  concerns: (event: Pick<LogEvent, "conversationId" | "kind">) => boolean;
  /** Takes an event in, in the order of position. Must not throw. */
  deliver: (message: LogMessage) => void;
  /** Told when the log could not be read; it is tried again. */
  onError: (error: unknown) => void;
}

/**
 * The end of the log, as this node gets to know it: hands every event that
 * concerns the node on in the order of position, each once, whatever the bus
 * does.
 *
 * Nodes publish each event where it has readers, and a notice of all events of
 * a commit to everyone. So a node knows of every position whether it has the
 * event, does not need it, or lacks it. What it lacks, or has not heard of, is
 * waited for a moment and then read from the store. As events become visible in
 * the order of position, nothing can turn up later below what was handed on,
 * and one number says how far a session has got.
 *
 * What is on the bus was committed before. So what a message said to be there,
 * and a read that began later does not find, is not there: it is forgotten.
 */
export class Tail {
  readonly #options: TailOptions;
  /** Every event up to here was handed on, or concerned nobody here. */
  #seen: number;
  /** Events that came before those below them. */
  readonly #arrived = new Map<number, LogMessage>();
  /** The subjects of events above `#seen` that a notice told of. */
  readonly #noticed = new Map<number, readonly string[]>();
  #reading: Promise<boolean> | undefined;
  readonly #look: PacedLook;
  /** How far it was when the look that is to come was asked for. */
  #seenWhenAsked = 0;
  /** Whether that look is for something that no message told of. */
  #doubted = false;
  #poll: NodeJS.Timeout | undefined;

  constructor(options: TailOptions) {
    this.#options = options;
    this.#seen = options.seen;
    this.#look = new PacedLook(() => this.#lookIfNeeded());
  }

  /** Everything of the log up to this position is known to this node. */
  get seen(): number {
    return this.#seen;
  }

  /** Begins to read the log's end now and then, until `close`. */
  start(): void {
    this.#pollLater();
  }

  /** Stops reading. */
  close(): void {
    clearTimeout(this.#poll);
    this.#poll = undefined;
    this.#look.close();
  }

  /** Takes in an event from the bus. */
  accept(message: LogMessage): void {
    if (message.position <= this.#seen) return;
    if (message.position === this.#seen + 1) {
      this.#seen++;
      this.#options.deliver(message);
      if (this.#noticed.size > 0 || this.#arrived.size > 0) this.#advance();
    } else {
      this.#arrived.set(message.position, message);
      this.#waitOrRead();
    }
  }

  /** Takes in a notice of what a commit added. */
  notice({ firstPosition, subjects }: NoticeMessage): void {
    if (firstPosition + subjects.length - 1 <= this.#seen) return;
    for (const [i, each] of subjects.entries()) {
      const position = firstPosition + i;
      if (position > this.#seen) this.#noticed.set(position, each);
    }
    this.#advance();
  }

  /** Has the log's end read soon: something may have been added to it. */
  doubt(): void {
    this.#doubted = true;
    this.#look.ask();
  }

  /** Reads what was not seen: at once after messages may have been lost. Returns whether there was something. */
  read(): Promise<boolean> {
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Hands on what is complete, as far as it is. */
  #advance(): void {
    for (;;) {
      const position = this.#seen + 1;
      const message = this.#arrived.get(position);
      const subjects = this.#noticed.get(position);
      if (message === undefined && (subjects === undefined || this.#concerns(subjects))) break;
      this.#arrived.delete(position);
      this.#noticed.delete(position);
      this.#seen = position;
      if (message !== undefined) this.#options.deliver(message);
    }
    if (this.#arrived.size > 0 || this.#noticed.size > 0) this.#waitOrRead();
  }

  /** An event on more subjects than a notice names may concern anyone. */
  #concerns(subjects: readonly string[]): boolean {
    return subjects.length === 0 || this.#options.concernsSubjects(subjects);
  }

  /** Gives what is missing a moment to arrive; then reads it. */
  #waitOrRead(): void {
    if (this.#arrived.size + this.#noticed.size > maxPending) {
      this.#arrived.clear();
      this.#noticed.clear();
      this.doubt();
      return;
    }
    if (this.#look.ask()) this.#seenWhenAsked = this.#seen;
  }

  async #lookIfNeeded(): Promise<boolean | undefined> {
    const waits = this.#arrived.size > 0 || this.#noticed.size > 0;
    if (!this.#doubted) {
      if (!waits) return undefined;
      if (this.#seen > this.#seenWhenAsked) {
        this.#waitOrRead();
        return undefined;
      }
    }
    this.#doubted = false;
    return this.#readOrTell();
  }

  #readOrTell(): Promise<boolean> {
    return this.read().catch((error) => {
      this.#options.onError(error);
      return false;
    });
  }

  async #readAll(): Promise<boolean> {
    let found = false;
    for (;;) {
      const from = this.#seen;
      const claimed = [...this.#arrived.keys(), ...this.#noticed.keys()];
      const events = await this.#options.store.readTail(from, pageEvents);
      for (const event of events) {
        if (event.position <= this.#seen) continue;
        found = true;
        this.#arrived.delete(event.position);
        this.#noticed.delete(event.position);
        this.#seen = event.position;
        if (this.#options.concerns(event)) this.#options.deliver(logMessage(event, this.#options.frame));
      }
      const atEnd = events.length < pageEvents;
      if (atEnd) this.#forget(claimed, events.at(-1)?.position ?? from);
      this.#advance();
      if (atEnd) return found;
    }
  }

  /** Forgets what was said of positions beyond the end of the log. */
  #forget(claimed: readonly number[], end: number): void {
    for (const position of claimed) {
      if (position <= end) continue;
      this.#arrived.delete(position);
      this.#noticed.delete(position);
    }
  }

  #pollLater(): void {
    const afterMs = this.#options.connected() ? pollMs : cutOffPollMs;
    this.#poll = setTimeout(() => {
      this.#pollLater();
      void this.#readOrTell();
    }, afterMs);
  }
}
