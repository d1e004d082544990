/**
 * `parlance serve --workers N`: several processes that share the ports, each a
 * node of its own. The process that was started serves nothing: it starts the
 * workers, starts those that die anew, and passes signals on.
 */

import cluster, { type Worker } from "node:cluster";
import { availableParallelism } from "node:os";
import { hostNodeName } from "../cluster/node-name.ts";
import type { Config } from "../config/config.ts";
import type { RunningServer } from "../host/server.ts";
import type { Logger } from "../telemetry/logger.ts";

/** A message to a worker process. */
export type WorkerOrder = { start: Config } | "stop";

/** Where a worker serves; the only thing it tells. */
export type WorkerPlace = Pick<
  RunningServer,
  "address" | "httpAddress" | "adminAddress" | "dataFile" | "database"
>;

const firstWaitMs = 250;
const maxWaitMs = 15_000;
/** A worker that lived this long was a good one: the next wait starts small again. */
const goodLifeMs = 30_000;

/** Returns how many workers a configuration asks for. */
export function workersOf({ workers }: Pick<Config, "workers">): number {
  return workers === "auto" ? availableParallelism() : Number(workers);
}

/**
 * Runs workers until `stop` is aborted.
 *
 * @param onServing called once all of them serve
 * @returns the exit code: 0, or that of the first worker when it cannot start, which has then said why
 */
export function runWorkers(
  config: Config,
  log: Logger,
  stop: AbortSignal,
  onServing: (place: WorkerPlace) => void,
): Promise<number> {
  const workers = new Workers(config, log, onServing);
  process.on("SIGUSR2", () => workers.signal("SIGUSR2"));
  process.on("exit", () => workers.kill());
  stop.addEventListener("abort", () => workers.stop());
  if (stop.aborted) workers.stop();
  return workers.exitCode;
}

/** The state of one worker across all its processes. */
interface Slot {
  node: string;
  /** Operators are served by the first only: any node answers for all. */
  adminPort: number | undefined;
  process: Worker | undefined;
  serves: boolean;
  /** How often in a row it ended soon. */
  failures: number;
  timer: NodeJS.Timeout | undefined;
}

class Workers {
  readonly #config: Config;
  readonly #log: Logger;
  readonly #slots: Slot[];
  readonly #over = Promise.withResolvers<number>();
  /** Called once all serve; undefined after that. */
  #onServing: ((place: WorkerPlace) => void) | undefined;
  /** Where the first serves. Until it does, the others wait, so that what is wrong for all is said once. */
  #firstPlace: WorkerPlace | undefined;
  #stopping = false;

  /** Starts them. */
  constructor(config: Config, log: Logger, onServing: (place: WorkerPlace) => void) {
    this.#config = config;
    this.#log = log;
    this.#onServing = onServing;
    const base = config.node ?? hostNodeName();
    this.#slots = Array.from({ length: workersOf(config) }, (_, index) => ({
      node: `${base}-${index + 1}`,
      adminPort: index === 0 ? config.adminPort : undefined,
      process: undefined,
      serves: false,
      failures: 0,
      timer: undefined,
    }));
    this.#start(this.#slots[0] as Slot);
  }

  /** Resolves once all have ended. */
  get exitCode(): Promise<number> {
    return this.#over.promise;
  }

  /** Tells all to stop. */
  stop(): void {
    this.#stopping = true;
    for (const { timer, process } of this.#slots) {
      clearTimeout(timer);
      if (process !== undefined) tell(process, "stop");
    }
    this.#endIfDone();
  }

  /** Passes a signal on to those that serve; one that does not yet would end by it. */
  signal(signal: NodeJS.Signals): void {
    for (const { process, serves } of this.#slots) if (serves) process?.process.kill(signal);
  }

  /** Ends all at once. */
  kill(): void {
    for (const { process } of this.#slots) process?.process.kill("SIGKILL");
  }

  #start(slot: Slot): void {
    const worker = cluster.fork();
    const startMs = performance.now();
    slot.process = worker;
    const { node, adminPort } = slot;
    tell(worker, { start: { ...this.#config, node, adminPort, workers: "1" } });
    worker.once("message", (place: WorkerPlace) => this.#onServes(slot, place));
    worker.once("exit", (code: number | null, signal: NodeJS.Signals | null) => {
      slot.process = undefined;
      slot.serves = false;
      this.#onExit(slot, code ?? undefined, signal ?? undefined, performance.now() - startMs);
    });
  }

  #onServes(slot: Slot, place: WorkerPlace): void {
    slot.serves = true;
    if (this.#firstPlace === undefined) {
      this.#firstPlace = place;
      if (!this.#stopping) for (const other of this.#slots.slice(1)) this.#start(other);
    }
    if (!this.#slots.every(({ serves }) => serves)) return;
    this.#onServing?.(this.#firstPlace);
    this.#onServing = undefined;
  }

  #onExit(slot: Slot, code: number | undefined, signal: NodeJS.Signals | undefined, livedMs: number): void {
    if (this.#stopping) {
      this.#endIfDone();
      return;
    }
    if (this.#firstPlace === undefined) {
      this.#over.resolve(code || 1);
      return;
    }
    slot.failures = livedMs >= goodLifeMs ? 0 : slot.failures + 1;
    const waitMs = Math.min(maxWaitMs, firstWaitMs * 2 ** Math.max(0, slot.failures - 1));
    this.#log.error({ node: slot.node, code, signal, waitMs }, "worker ended; starting it anew");
    slot.timer = setTimeout(() => this.#start(slot), waitMs);
  }

  #endIfDone(): void {
    if (this.#slots.every(({ process }) => process === undefined)) this.#over.resolve(0);
  }
}

function tell(worker: Worker, order: WorkerOrder): void {
  worker.send(order, () => {
    // One that cannot be told has ended, which is heard of by itself.
  });
}

/**
 * Lives as a worker: takes the configuration from the process that started it
 * and serves until that says to stop.
 *
 * @param serve serves until the signal is aborted, and calls `onServing` once it serves
 */
export async function beWorker(
  serve: (config: Config, stop: AbortSignal, onServing: (place: WorkerPlace) => void) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const started = Promise.withResolvers<Config>();
  process.on("message", (order: WorkerOrder) => {
    if (order === "stop") stop.abort();
    else started.resolve(order.start);
  });
  // Ctrl-C goes to all processes of a terminal, and the one that started this one passes it on.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => stop.abort());
  try {
    await serve(await started.promise, stop.signal, (place) => void process.send?.(place));
  } finally {
    process.channel?.unref();
  }
}
