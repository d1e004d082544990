import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { ChatError } from "../../../model/errors.ts";
import type { ArgumentsOf, CommandOf, ResultOf, Thread } from "../commands.ts";
import { unavailable } from "../file/failures.ts";
import type { Identity } from "../file/migrations.ts";
import { unpackAppended } from "./packed-drafts.ts";
import {
  type Answer,
  type Call,
  closeMessage,
  type Greeting,
  packCalls,
  unpackError,
  type WorkerData,
} from "./wire.ts";

/** The options of a worker channel. */
export interface ChannelOptions {
  /** The worker's file. */
  url: URL;
  workerData: WorkerData;
  /** The most calls that may wait. More are refused. */
  maxWaiting: number;
  /** The most bytes of bodies that may wait. */
  maxWaitingBytes: number;
  /** The most calls of one batch. */
  maxBatch: number;
  /** Called with each result, in the order of calls, before its promise resolves with what is returned. */
  receive(call: Call, value: unknown): unknown;
  /** Called when all results of a batch were received, in the same turn of the event loop. */
  onReceived?(): void;
  /** Called when a batch failed because of the database or the worker, before the promises of its calls reject. */
  onFailure?(error: ChatError): void;
  /** Called when the worker ended by itself; the next call starts another. */
  onCrash(error: unknown): void;
}

interface Waiting extends Call {
  size: number;
  resolve(value: never): void;
  reject(error: unknown): void;
}

/**
 * Hands calls to a worker in batches: while one is under way the next gathers.
 * So the busier the store, the larger its batches, and nothing ever waits for a
 * timer.
 */
export class WorkerChannel<T extends Thread> {
  readonly #options: ChannelOptions;
  #worker: Worker | undefined;
  #commands: readonly string[] = [];
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  /** The batch under way; an empty one stands for the start of the worker. */
  #underWay: Waiting[] | undefined;
  #flushing = false;
  #closing = false;
  #stopping = false;
  /** Whether a worker was ready once: until then the caller of `start` learns what is wrong, and nobody else. */
  #wasReady = false;
  #whenIdle: (() => void) | undefined;

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  /** The names of what the worker runs besides `append`; known once it has started. */
  get commands(): readonly string[] {
    return this.#commands;
  }

  /** Starts the worker and returns what the store is named. */
  start(): Promise<Identity> {
    const { promise, resolve, reject } = Promise.withResolvers<Identity>();
    const { url, workerData } = this.#options;
    const worker = new Worker(url, { workerData });
    this.#worker = worker;
    this.#underWay = [];
    let crash: unknown = new Error("the store's worker ended by itself");
    worker.once("message", (greeting: Greeting) => {
      if ("failed" in greeting) {
        crash = unpackError(greeting.failed);
        return;
      }
      worker.on("message", (answer: Answer) => this.#settle(answer));
      this.#underWay = undefined;
      this.#wasReady = true;
      this.#commands = greeting.commands;
      resolve(greeting.ready);
      this.#flush();
    });
    worker.once("error", (error) => {
      crash = error;
    });
    worker.once("exit", () => {
      this.#worker = undefined;
      reject(crash);
      if (!this.#stopping && this.#wasReady) this.#fail(crash);
    });
    return promise;
  }

  /** Runs a command in the worker. `size` is about how many bytes it carries. */
  call<N extends CommandOf<T>>(name: N, args: ArgumentsOf<N>, size = 0): Promise<ResultOf<N>> {
    const { promise, resolve, reject } = Promise.withResolvers<never>();
    const { maxWaiting, maxWaitingBytes } = this.#options;
    if (this.#closing) {
      reject(unavailable("the store is closed"));
    } else if (this.#waiting.length >= maxWaiting || this.#waitingBytes + size > maxWaitingBytes) {
      reject(unavailable("the store cannot keep up; try again"));
    } else {
      this.#waiting.push({ name, args, size, resolve, reject });
      this.#waitingBytes += size;
      this.#flushSoon();
    }
    return promise;
  }

  /** Refuses new calls and waits for those there are. */
  async drain(): Promise<void> {
    this.#closing = true;
    if (this.#underWay === undefined && this.#waiting.length === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  /** Ends the worker. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#worker === undefined) return;
    const ended = once(this.#worker, "exit");
    this.#worker.postMessage(closeMessage);
    await ended;
  }

  /** Flushes when the code that runs now is done, so that what it calls together goes together. */
  #flushSoon(): void {
    if (this.#flushing || this.#underWay !== undefined) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#underWay !== undefined) return;
    if (this.#waiting.length === 0) {
      this.#whenIdle?.();
      return;
    }
    if (this.#worker === undefined) {
      this.start().catch(() => {});
      return;
    }
    const { maxBatch } = this.#options;
    const all = this.#waiting;
    const batch = all.length <= maxBatch ? all : all.splice(0, maxBatch);
    if (batch === all) this.#waiting = [];
    for (const { size } of batch) this.#waitingBytes -= size;
    this.#underWay = batch;
    try {
      const { items, moved } = packCalls(batch.map(({ name, args }) => ({ name, args })));
      this.#worker.postMessage(items, moved);
    } catch (error) {
      // Something in it cannot be copied to another thread.
      this.#underWay = undefined;
      for (const waiting of batch) waiting.reject(error);
      this.#flushSoon();
    }
  }

  #settle(answer: Answer): void {
    const batch = this.#underWay ?? [];
    this.#underWay = undefined;
    // First the next batch, so that the worker is busy while this one is handed out.
    this.#flush();
    if ("failed" in answer) {
      const error = unpackError(answer.failed);
      if (error instanceof ChatError) this.#options.onFailure?.(error);
      for (const waiting of batch) waiting.reject(error);
      return;
    }
    const errors = new Map(answer.errors);
    let appends = 0;
    let others = 0;
    for (const [number, waiting] of batch.entries()) {
      const value =
        waiting.name === "append" ? unpackAppended(answer.appended, appends++) : answer.values[others++];
      const error = errors.get(number);
      if (error === undefined) waiting.resolve(this.#options.receive(waiting, value) as never);
      else waiting.reject(unpackError(error));
    }
    this.#options.onReceived?.();
  }

  /** Rejects all there is after the worker ended by itself. */
  #fail(cause: unknown): void {
    this.#options.onCrash(cause);
    const lost = [...(this.#underWay ?? []), ...this.#waiting];
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#underWay = undefined;
    const error = unavailable("the store does not answer; try again", cause);
    this.#options.onFailure?.(error);
    for (const waiting of lost) waiting.reject(error);
    this.#whenIdle?.();
  }
}
