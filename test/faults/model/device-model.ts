import type { LogModel, ModelEvent } from "./model.ts";
import { expectSame, Mismatch } from "./operations.ts";

/** What a stream said of itself when it opened. */
export interface Opening {
  /** The position it starts after. */
  position: number;
  resumed: boolean;
  /** When too much was waiting: the first and last seq of each conversation, and from where live events follow. */
  behind:
    | { firstSeqs: Record<string, number>; lastSeqs: Record<string, number>; position: number }
    | undefined;
}

/** How a stream is opened. */
export interface OpenOptions {
  /** The position to go on after; without it the device's own. */
  resumeFrom: number | undefined;
  replayLimit: number;
}

/** What a device has acknowledged, and what its streams have to get. */
export class DeviceModel {
  readonly userId: string;
  readonly deviceId: string;
  /** Where each of its streams starts in the log. */
  readonly starts: number[] = [];
  /** Whether the last of them is open. */
  open = false;
  /** The positions its cursor may be at; undefined: it never acknowledged anything. One, except after a crash. */
  #possible = new Set<number | undefined>([undefined]);
  /** The positions that may be on stable storage: acknowledgements get there lazily. */
  #stored = new Set<number | undefined>([undefined]);
  /** Whether it was seen since the last crash which of them is. */
  #isSure = true;

  constructor(userId: string, deviceId: string) {
    this.userId = userId;
    this.deviceId = deviceId;
  }

  /** Notes that it acknowledged a position. @param heard where the service says its cursor is now */
  acknowledged(position: number, heard: number): void {
    const allowed = [...this.#possible].map((before) => Math.max(before ?? 0, position));
    if (!allowed.includes(heard))
      throw new Mismatch("I7", `${this.name}: ack of ${position} answered ${heard}, expected ${allowed}`);
    this.#possible = new Set([heard]);
    this.#stored.add(heard);
  }

  /** Notes that the server died: its streams are gone, and acknowledgements may be. */
  crashed(): void {
    this.open = false;
    this.#possible = new Set(this.#stored);
    this.#isSure = false;
  }

  /**
   * Notes that a stream opened, and checks that it starts where it should.
   *
   * @param before the log before anything that happened while it opened
   */
  opened(
    opening: Opening,
    options: OpenOptions,
    model: LogModel,
    before: { length: number; unread: number },
  ): void {
    const start = this.#startOf(opening, options, model, before);
    const missed = model.eventsFor(this.userId, start);
    const isBehind = missed.length > options.replayLimit;
    const lastSeqs = Object.fromEntries(missed.map(({ conversationId, seq }) => [conversationId, seq]));
    const firstSeqs = Object.fromEntries(
      missed.toReversed().map(({ conversationId, seq }) => [conversationId, seq]),
    );
    const { behind } = opening;
    expectSame(
      "I7",
      `what ${this.name} is behind in`,
      behind && { firstSeqs: behind.firstSeqs, lastSeqs: behind.lastSeqs },
      isBehind ? { firstSeqs, lastSeqs } : undefined,
    );
    if (behind !== undefined && model.log.some((event) => (event.position ?? 0) > behind.position))
      throw new Mismatch("I7", `${this.name} is behind up to ${behind.position}, which is not the end`);
    this.starts.push(isBehind ? model.log.length : start);
    this.open = true;
  }

  /** What its stream with a number has to get, if it stays open. */
  eventsOf(stream: number, model: LogModel): ModelEvent[] {
    return model.eventsFor(this.userId, this.starts[stream] as number);
  }

  /** For people. */
  get name(): string {
    return `${this.userId} on ${this.deviceId}`;
  }

  #startOf(
    { position, resumed }: Opening,
    { resumeFrom }: OpenOptions,
    model: LogModel,
    before: { length: number; unread: number },
  ): number {
    if (resumeFrom !== undefined) {
      expectSame(
        "I7",
        `${this.name} resumes from`,
        { position, resumed },
        { position: resumeFrom, resumed: true },
      );
      return model.indexAbove(position);
    }
    const left = resumed ? position : undefined;
    if (!this.#possible.has(left))
      throw new Mismatch("I7", `${this.name} starts after ${left}, may be at ${[...this.#possible]}`);
    this.#possible = new Set([left]);
    if (!this.#isSure) this.#stored = new Set([left]);
    this.#isSure = true;
    if (left !== undefined) return model.indexAbove(left);

    // A first start is at the first unread message; without one, at the end of the log as it was at that moment.
    const hadUnread = before.unread < before.length;
    const start = hadUnread ? before.unread : Math.max(before.length, model.indexAbove(position));
    const isThere = model.log.every(
      (event, i) => event.position === undefined || event.position <= position === i < start,
    );
    if (!isThere || start > model.firstUnread(this.userId))
      throw new Mismatch(
        "I7",
        `${this.name}: a first start after ${position} is not at event ${start} of the log`,
      );
    return start;
  }
}
