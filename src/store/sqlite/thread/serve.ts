import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { failPoint } from "../../../fail-points.ts";
import { ChatError } from "../../../model/errors.ts";
import type { Appended } from "../../../model/records.ts";
import { failureOf, unavailable } from "../file/failures.ts";
import type { Identity } from "../file/migrations.ts";
import { openErrorOf } from "../file/open-errors.ts";
import { type PackedDraft, packAppended, unpackDrafts } from "./packed-drafts.ts";
import { type Answer, closeMessage, type Greeting, type Item, packError, type WorkerData } from "./wire.ts";

/** A connection and what can be done with it. */
export interface Engine {
  readonly identity: Identity;
  /** The names of what `call` runs. */
  readonly commands: string[];
  begin(): void;
  commit(): void;
  rollback(): void;
  /** Appends a message. What it throws other than a `ChatError` fails the batch. */
  append(draft: PackedDraft): Appended;
  /** Runs any other method. What it throws fails this call alone, unless the database failed. */
  call(name: string, args: readonly unknown[]): unknown;
  /** Does what can wait until a batch was answered. Never throws. */
  tidyUp?(): void;
  close(): void;
}

/** Serves batches in a worker, each in one transaction. Opens the database again after it failed. */
export function serve(open: (data: WorkerData, again: boolean) => Engine): void {
  const port = parentPort as MessagePort;
  const data = workerData as WorkerData;
  let engine: Engine | undefined;
  try {
    engine = open(data, false);
    port.postMessage({ ready: engine.identity, commands: engine.commands } satisfies Greeting);
  } catch (error) {
    port.postMessage({ failed: packError(describe(data.path, error)) } satisfies Greeting);
    return;
  }

  port.on("message", (message: Item[] | typeof closeMessage) => {
    if (message === closeMessage) {
      engine?.close();
      port.close();
    } else {
      port.postMessage(answer(message));
      engine?.tidyUp?.();
    }
  });

  /** Opens after a failure. That it cannot is a failure too, whatever the reason. */
  function openAgain(): Engine {
    try {
      return open(data, true);
    } catch (error) {
      throw failureOf(error) === undefined
        ? unavailable("the store does not answer; try again", error)
        : error;
    }
  }

  function answer(items: Item[]): Answer {
    try {
      engine ??= openAgain();
      engine.begin();
      const done = run(engine, items);
      const appends = items.some((item) => "drafts" in item);
      if (appends) failPoint("append.before-commit");
      engine.commit();
      if (appends) failPoint("append.after-commit");
      return done;
    } catch (error) {
      engine?.rollback();
      const failure = failureOf(error);
      if (failure?.reopen === true) {
        engine?.close();
        engine = undefined;
      }
      return { failed: packError(failure?.error ?? error) };
    }
  }
}

function run(engine: Engine, items: readonly Item[]): Answer {
  const appended: Array<Appended | undefined> = [];
  const values: unknown[] = [];
  const errors: Array<[number, ReturnType<typeof packError>]> = [];
  let number = 0;
  for (const item of items) {
    if ("drafts" in item) {
      for (const draft of unpackDrafts(item.drafts)) {
        let result: Appended | undefined;
        try {
          result = engine.append(draft);
        } catch (error) {
          if (!(error instanceof ChatError)) throw error;
          errors.push([number, packError(error)]);
        }
        appended.push(result);
        number++;
      }
    } else {
      let value: unknown;
      try {
        value = engine.call(item.name, item.args);
      } catch (error) {
        if (failureOf(error) !== undefined) throw error;
        errors.push([number, packError(error)]);
      }
      values.push(value);
      number++;
    }
  }
  return { appended: packAppended(appended), values, errors };
}

function describe(path: string, error: unknown): unknown {
  if (typeof (error as { errcode?: unknown }).errcode !== "number") return error;
  // Without its cause, which says the same in words for programmers.
  return new Error(openErrorOf(path, error).message);
}
