import { closeSync, existsSync, openSync, realpathSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Worker } from "node:worker_threads";
import type { LogEvent } from "../../../wire/log-event.ts";
import { EventKind } from "../../../wire/log-event.ts";
import { type Clock, systemClock } from "../../model/clock.ts";
import type { ChatError } from "../../model/errors.ts";
import type { Appended, Draft } from "../../model/records.ts";
import type { ChangeName } from "../../rules/changes.ts";
import type { Changed } from "../ports/changes.ts";
import type { Store } from "../store.ts";
import { type ArgumentsOf, type CommandOf, type ResultOf, type Thread, unpackAnswer } from "./commands.ts";
import { refuseCutOffRestore } from "./file/backup.ts";
import { takeLock } from "./file/lock.ts";
import { keepDamagedLog, settleDamage } from "./file/log-damage.ts";
import { hasNoRoom, openErrorOf } from "./file/open-errors.ts";
import { makePrivateFile, makePrivateFolder, requirePath } from "./file/private-files.ts";
import { freeReserve, keepReserve } from "./file/reserve.ts";
import { type ChannelOptions, WorkerChannel } from "./thread/channel.ts";
import type { CheckpointerData } from "./thread/checkpointer.ts";
import { type Call, closeMessage, type WorkerData } from "./thread/wire.ts";

/** Settings of the store. */
export interface SqliteStoreOptions {
  /** The path of the database file; it and its directory are made if need be. No URL, no `:memory:`, no `~`. */
  path: string;
  /** The most writes that may wait for the disk; more are refused. Default 100,000. */
  maxWaitingWrites?: number;
  /** The most bytes of message bodies that may wait for the disk. Default 256 MiB. */
  maxWaitingBytes?: number;
  /** The largest the file may grow, at 4 KiB granularity; writes beyond are refused with STORAGE_FULL. No limit by default. */
  maxFileBytes?: number;
  logger?: { error(fields: object, message: string): void };
  /** By default the machine's. */
  clock?: Clock;
}

/**
 * Opens the store in a SQLite file, for this process alone. One worker thread
 * writes and another reads, so that the disk never stops the event loop.
 *
 * A store whose write-ahead log was damaged has lost commits: it gets a new
 * epoch, so that nobody takes its positions for those they knew.
 *
 * @throws Error when another process has the file, or it is of a newer release
 */
export async function createSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const path = prepare(options.path);
  try {
    return await open(path, options);
  } catch (error) {
    if (!hasNoRoom(path) || !freeReserve(path)) throw error;
    options.logger?.error({ path }, "the disk is full; what was kept free to read the data then is used up");
    return await open(path, options);
  }
}

async function open(path: string, options: SqliteStoreOptions): Promise<Store> {
  const { clock = systemClock } = options;
  const lock = takeLock(path);
  let isDamaged: boolean;
  try {
    isDamaged = keepDamagedLog(path);
  } catch (error) {
    lock.release();
    throw openErrorOf(path, error);
  }
  const workerData: WorkerData = {
    path,
    maxFileBytes: options.maxFileBytes ?? Number.MAX_SAFE_INTEGER,
    checkpointDue: sharedNumber(),
    epochDue: sharedNumber(isDamaged ? 1 : 0),
    commits: sharedNumber(),
    clock: clock.shared,
  };
  const onCrash = (worker: string) => (error: unknown) =>
    options.logger?.error({ err: error, path, worker }, "a worker of the store ended");
  const listeners = new Set<(events: readonly LogEvent[]) => void>();
  const failureListeners = new Set<(error: ChatError) => void>();
  const channel = <T extends Thread>(
    name: T,
    rest: Pick<ChannelOptions, "maxBatch" | "receive" | "onReceived" | "onFailure">,
  ) =>
    new WorkerChannel<T>({
      ...rest,
      url: workerUrl(name),
      workerData,
      maxWaiting: options.maxWaitingWrites ?? 100_000,
      maxWaitingBytes: options.maxWaitingBytes ?? 268_435_456,
      onCrash: onCrash(name),
    });
  /** The events that the batch which is being received put into the log. */
  let appended: LogEvent[] = [];
  const writer = channel("writer", {
    maxBatch: 1000,
    receive(call, value) {
      for (const event of appendedBy(call, value)) appended.push(event);
      return value;
    },
    onReceived() {
      if (appended.length === 0) return;
      const events = appended;
      appended = [];
      for (const listener of listeners) listener(events);
    },
    onFailure(error) {
      for (const listener of failureListeners) listener(error);
    },
  });
  const reader = channel("reader", {
    maxBatch: 64,
    receive: ({ name }, answer) => unpackAnswer(name, answer),
  });
  let checkpointer: Checkpointer | undefined;

  let closed: Promise<void> | undefined;
  const close = async () => {
    await Promise.all([reader.drain(), writer.drain()]);
    // The last connection to close tidies up the files, which a reader may not.
    await Promise.all([reader.stop(), checkpointer?.stop()]);
    await writer.stop();
    checkpointer?.closeFile();
    lock.release();
  };

  try {
    const identity = await writer.start();
    if (isDamaged) {
      const kept = settleDamage(path, clock.now());
      options.logger?.error({ path, kept, epoch: identity.epoch }, damagedLog);
    }
    await reader.start();
    keepReserve(path);
    checkpointer = startCheckpointer(workerData, onCrash("checkpointer"));
    return {
      ...identity,
      ...methodsOf(reader),
      ...methodsOf(writer),
      append: (draft) => writer.call("append", [draft], draft.body.length),
      // Which answer belongs to which name is lost on the way to the worker.
      change: (name, request) => writer.call("change", [name, request as never]) as Promise<never>,
      async probe() {
        await writer.call("probe", []);
        await writer.call("endProbe", []);
      },
      onAppended: (listener) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
      // A restore needs the file for itself, so this process never sees one.
      onEnding: () => () => {},
      onWriteFailed: (listener) => {
        failureListeners.add(listener);
        return () => void failureListeners.delete(listener);
      },
      close: () => (closed ??= close()),
    };
  } catch (error) {
    await reader.stop();
    await writer.stop();
    lock.release();
    throw error;
  }
}

/** Makes the methods that a worker runs. */
function methodsOf<T extends Thread>(
  worker: WorkerChannel<T>,
): { [N in CommandOf<T>]: (...args: ArgumentsOf<N>) => Promise<ResultOf<N>> } {
  const methods = worker.commands.map((name) => [
    name,
    (...args: unknown[]) => worker.call(name as never, args as never),
  ]);
  return Object.fromEntries(methods);
}

/** The events a write put into the log. A message's body never left this thread. */
function appendedBy(call: Call, value: unknown): readonly LogEvent[] {
  if (call.name === "change") return (value as Changed<ChangeName>).events;
  if (call.name !== "append") return [];
  const { conversationId, senderId, body } = call.args[0] as Draft;
  const { duplicate, ...place } = value as Appended;
  return duplicate ? [] : [{ ...place, conversationId, kind: EventKind.MESSAGE, senderId, body }];
}

/** Makes the file's directory and returns the one path that names the file, whatever links lead to it. */
function prepare(path: string): string {
  requirePath(path);
  try {
    makePrivateFolder(dirname(resolve(path)));
  } catch (error) {
    throw openErrorOf(resolve(path), error);
  }
  refuseCutOffRestore(path);
  makePrivateFile(path);
  return existsSync(path) ? realpathSync(path) : resolve(path);
}

/** The worker that makes checkpoints. */
interface Checkpointer {
  stop(): Promise<void>;
  /** Once nobody uses the database any more: closing it ends the locks that others have on it. */
  closeFile(): void;
}

/** Starts the worker that makes checkpoints. Should it end by itself all goes on, if less evenly. */
function startCheckpointer(workerData: WorkerData, onCrash: (error: unknown) => void): Checkpointer {
  const file = openSync(workerData.path, "r");
  const data: CheckpointerData = { ...workerData, file };
  const worker = new Worker(workerUrl("checkpointer"), { workerData: data });
  worker.on("error", onCrash);
  const ended = new Promise<void>((resolve) => {
    worker.once("exit", () => resolve());
  });
  return {
    stop() {
      worker.postMessage(closeMessage);
      return ended;
    },
    closeFile: () => closeSync(file),
  };
}

function workerUrl(name: string): URL {
  return new URL(`./thread/${name}.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url);
}

function sharedNumber(value = 0): Int32Array {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)).fill(value);
}

const damagedLog =
  "the write-ahead log was damaged, and commits behind the damage are lost: the store has a new epoch, and the damaged log is kept; check the disk";
