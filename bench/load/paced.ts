import { setTimeout as delay } from "node:timers/promises";
import type { DirectUser } from "./direct.ts";
import type { Failure } from "./failure.ts";
import type { SendFrames } from "./sends.ts";

/** What a text begins with, so that the message is found in what is delivered. */
const mark = "paced:";
const numberDigits = 9;
const markBytes = Buffer.from(mark);

/**
 * Users send each other messages at a fixed rate, whatever the answers, and
 * each delivery to a recipient is timed. The time counts from when a message
 * was due, so that a server that stands still is not spared those that would
 * have been sent meanwhile.
 */
export class PacedLoad {
  readonly #users: readonly DirectUser[];
  readonly #failure: Failure;
  /** When each message was due, by number; 0 once it was delivered. */
  #dueMs: number[] = [];
  #latenciesMs: number[] = [];
  /** Called after each delivery. */
  #delivered: (() => void) | undefined;

  constructor(users: readonly DirectUser[], failure: Failure) {
    this.#users = users;
    this.#failure = failure;
    for (const [i, { session }] of users.entries())
      session.onReceived = (buffer, start, end) => this.#received(i, buffer, start, end);
  }

  /**
   * Sends until something is over, and resolves with the latencies in
   * milliseconds once all is delivered.
   */
  async run(perSecond: number, until: Promise<unknown>): Promise<number[]> {
    this.#dueMs = [];
    this.#latenciesMs = [];
    let over = false;
    const ended = until.finally(() => {
      over = true;
    });
    const startMs = performance.now();
    do {
      const dueCount = Math.ceil(((performance.now() - startMs) / 1000) * perSecond);
      while (this.#dueMs.length < dueCount) this.#send(startMs + (this.#dueMs.length / perSecond) * 1000);
      await delay(1);
    } while (!over);
    await ended;
    const all = new Promise<void>((resolve) => {
      this.#delivered = () => {
        if (this.#latenciesMs.length === this.#dueMs.length) resolve();
      };
      this.#delivered();
    });
    await this.#failure.during(all);
    this.#delivered = undefined;
    return this.#latenciesMs;
  }

  #send(dueMs: number): void {
    const number = this.#dueMs.push(dueMs) - 1;
    const sender = this.#users[number % this.#users.length] as DirectUser;
    const round = Math.floor(number / this.#users.length);
    const frames = sender.frames[round % sender.frames.length] as SendFrames;
    sender.session.send(frames.next(mark + String(number).padStart(numberDigits, "0")));
  }

  #received(user: number, buffer: Buffer, start: number, end: number): void {
    let at = start;
    for (;;) {
      at = buffer.indexOf(markBytes, at);
      if (at < 0 || at >= end) return;
      at += mark.length;
      const number = Number(buffer.toString("latin1", at, at + numberDigits));
      // The sender gets its own message too.
      if (number % this.#users.length === user) continue;
      const dueMs = this.#dueMs[number] as number;
      if (dueMs === 0) throw new Error(`message ${number} was delivered twice`);
      this.#dueMs[number] = 0;
      this.#latenciesMs.push(performance.now() - dueMs);
      this.#delivered?.();
    }
  }
}
