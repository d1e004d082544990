import { EventKind, type LogEvent } from "../../../../wire/log-event.ts";
import { failPoint } from "../../../fail-points.ts";
import type { Clock } from "../../../model/clock.ts";
import { ChatError, ErrorReason } from "../../../model/errors.ts";
import type { Appended, Draft } from "../../../model/records.ts";
import type { Connections } from "../connection/connections.ts";
import { unavailable } from "../connection/failures.ts";
import type { Identity } from "../connection/identity.ts";
import { appendStatement, appendValues, type Mark, type Outcome, readOutcomes } from "./append-batch.ts";

const maxBatch = 1000;
/** A batch ends once its bodies exceed this. */
const maxBatchBytes = 4_194_304;
/** Once the database has not answered one write, those that have waited for this long are refused with it. */
const lateMs = 1_500;

/** The options of a write queue. */
export interface WriteQueueOptions {
  connections: Connections;
  identity: Identity;
  clock: Clock;
  /** The most writes that may wait. More are refused. */
  maxWaiting: number;
  /** The most bytes of bodies that may wait. */
  maxWaitingBytes: number;
  /** Called with what was committed, in the order of positions, before the promises of its writes resolve. */
  onAppended(events: readonly LogEvent[]): void;
}

interface Promised<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

type Waiting = { sinceMs: number; reject(error: unknown): void } & (
  | ({ kind: "append"; draft: Draft } & Promised<Appended>)
  | ({ kind: "mark"; mark: Omit<Mark, "after"> } & Promised<boolean>)
  // Resolves with the error it ended with, if it did.
  | { kind: "other"; run(): Promise<unknown> }
);

type Append = Extract<Waiting, { kind: "append" }>;
type MarkRead = Extract<Waiting, { kind: "mark" }>;

/** A run of the queue that goes to the server as one statement. */
interface Batch {
  appends: Append[];
  /** Repeats of drafts of the batch, by the draft they repeat. */
  repeats: Map<Append, Append[]>;
  marks: Array<MarkRead & { after: number }>;
}

/**
 * Carries out what changes logs, in the order in which it was asked for. While
 * one batch of messages is under way the next gathers. So the busier the store,
 * the larger its batches, and nothing ever waits for a timer.
 */
export class WriteQueue {
  readonly #options: WriteQueueOptions;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | undefined;
  #closing = false;

  constructor(options: WriteQueueOptions) {
    this.#options = options;
  }

  /** Appends a message. */
  append(draft: Draft): Promise<Appended> {
    const { promise, resolve, reject } = Promise.withResolvers<Appended>();
    const size = draft.body.length;
    if (this.#waitingBytes + size > this.#options.maxWaitingBytes) reject(tooSlow());
    else if (this.#add({ kind: "append", draft, resolve, reject, sinceMs: this.#options.clock.monotonic() }))
      this.#waitingBytes += size;
    return promise;
  }

  /** Raises how far a user has read. */
  markRead(mark: Omit<Mark, "after">): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    this.#add({ kind: "mark", mark, resolve, reject, sinceMs: this.#options.clock.monotonic() });
    return promise;
  }

  /** Carries out another change, which nothing overtakes. */
  run<T>(change: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const run = () =>
      change().then(resolve, (error: unknown) => {
        reject(error);
        return error;
      });
    this.#add({ kind: "other", run, reject, sinceMs: this.#options.clock.monotonic() });
    return promise;
  }

  /** Refuses new writes and waits for those there are. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#running;
  }

  #add(waiting: Waiting): boolean {
    if (this.#closing) {
      waiting.reject(unavailable("the store is closed"));
      return false;
    }
    if (this.#waiting.length >= this.#options.maxWaiting) {
      waiting.reject(tooSlow());
      return false;
    }
    this.#waiting.push(waiting);
    this.#running ??= this.#work();
    return true;
  }

  async #work(): Promise<void> {
    // What the code that runs now calls together goes together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const first = this.#waiting[0] as Waiting;
      let error: unknown;
      if (first.kind === "other") {
        this.#waiting.shift();
        error = await first.run();
      } else {
        error = await this.#carryOut(this.#takeBatch());
      }
      if (error instanceof ChatError && error.reason === ErrorReason.STORE_UNAVAILABLE) this.#refuseLate();
    }
    this.#running = undefined;
  }

  /** Refuses what has waited for long. Otherwise each would wait for those before it to fail, one after another. */
  #refuseLate(): void {
    const nowMs = this.#options.clock.monotonic();
    const onTime = this.#waiting.findIndex(({ sinceMs }) => nowMs - sinceMs < lateMs);
    for (const late of this.#waiting.splice(0, onTime === -1 ? this.#waiting.length : onTime)) {
      if (late.kind === "append") this.#waitingBytes -= late.draft.body.length;
      late.reject(tooSlow());
    }
  }

  /** Takes messages and marks from the front of the queue, up to the first that has to wait for its own batch. */
  #takeBatch(): Batch {
    const batch: Batch = { appends: [], repeats: new Map(), marks: [] };
    const withId = new Map<string, Append>();
    let bytes = 0;
    let taken = 0;
    for (const waiting of this.#waiting) {
      if (waiting.kind === "other" || taken >= maxBatch || bytes > maxBatchBytes) break;
      if (waiting.kind === "mark") {
        batch.marks.push({ ...waiting, after: batch.appends.length });
      } else {
        const { senderId, clientMessageId, body } = waiting.draft;
        const id = `${senderId}\0${clientMessageId}`;
        const earlier = clientMessageId === "" ? undefined : withId.get(id);
        if (earlier === undefined) {
          if (clientMessageId !== "") withId.set(id, waiting);
          batch.appends.push(waiting);
        } else if (isRepeat(waiting.draft, earlier.draft)) {
          batch.repeats.set(earlier, [...(batch.repeats.get(earlier) ?? []), waiting]);
        } else {
          break;
        }
        bytes += body.length;
      }
      taken++;
    }
    if (taken === this.#waiting.length) this.#waiting = [];
    else this.#waiting.splice(0, taken);
    this.#waitingBytes -= bytes;
    return batch;
  }

  /** @returns why all of it failed, if it did */
  async #carryOut({ appends, repeats, marks }: Batch): Promise<unknown> {
    const drafts = appends.map(({ draft }) => draft);
    const asked = marks.map(({ mark, after }) => ({ ...mark, after }));
    let appended: Array<Outcome<Appended>>;
    let marked: Array<Outcome<boolean>>;
    try {
      const { connections, identity } = this.#options;
      if (drafts.length > 0) failPoint("append.before-commit");
      const rows = await connections.run(appendStatement, appendValues(identity.epoch, drafts, asked));
      if (drafts.length > 0) failPoint("append.after-commit");
      ({ appended, marked } = readOutcomes(rows[0] as Parameters<typeof readOutcomes>[0], drafts, asked));
    } catch (error) {
      for (const { reject } of [...appends, ...[...repeats.values()].flat(), ...marks]) reject(error);
      return error;
    }
    const events = appended.flatMap((outcome, n) => eventsOf(outcome, drafts[n] as Draft));
    if (events.length > 0) this.#options.onAppended(events);
    for (const [n, outcome] of appended.entries()) {
      const append = appends[n] as Append;
      settle(append, outcome);
      const again = "value" in outcome ? { value: { ...outcome.value, duplicate: true } } : outcome;
      for (const repeat of repeats.get(append) ?? []) settle(repeat, again);
    }
    for (const [n, outcome] of marked.entries()) settle(marks[n] as MarkRead, outcome);
    return undefined;
  }
}

function settle<T>({ resolve, reject }: Promised<T>, outcome: Outcome<T>): void {
  if ("value" in outcome) resolve(outcome.value);
  else reject(outcome.refusal);
}

/** The event a draft became, if it is new. */
function eventsOf(outcome: Outcome<Appended>, { conversationId, senderId, body }: Draft): LogEvent[] {
  if (!("value" in outcome) || outcome.value.duplicate) return [];
  const { seq, position, acceptTimeMs } = outcome.value;
  return [{ position, conversationId, seq, kind: EventKind.MESSAGE, senderId, acceptTimeMs, body }];
}

/** Whether a draft with the same sender and client message id asks for the very same. */
function isRepeat(draft: Draft, earlier: Draft): boolean {
  return (
    draft.conversationId === earlier.conversationId &&
    draft.replyTo?.position === earlier.replyTo?.position &&
    draft.replyTo?.acceptTimeMs === earlier.replyTo?.acceptTimeMs &&
    Buffer.compare(draft.body, earlier.body) === 0
  );
}

function tooSlow(): ChatError {
  return unavailable("the store cannot keep up; try again");
}
