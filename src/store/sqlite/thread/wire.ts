/** The messages between the store's main side and its workers. */

import { ChatError, type ChatErrorDetails, type ErrorReason } from "../../../model/errors.ts";
import type { Draft } from "../../../model/records.ts";
import type { Identity } from "../file/migrations.ts";
import { type PackedDrafts, packDrafts } from "./packed-drafts.ts";

/** The data that a worker thread starts with. */
export interface WorkerData {
  path: string;
  /** The largest the file may grow. */
  maxFileBytes: number;
  /** One number shared by the workers: not 0 when the writer should make a checkpoint. */
  checkpointDue: Int32Array;
  /** One number shared by the workers: not 0 when the writer has to give the store a new epoch before anything else. */
  epochDue: Int32Array;
  /** One number shared by the workers: how often the writer has committed, give or take 2^32. */
  commits: Int32Array;
  /** The clock; see `Clock.shared`. */
  clock: SharedArrayBuffer;
}

/** A method to run in a worker. */
export interface Call {
  name: string;
  args: readonly unknown[];
}

/** A part of a batch: a run of appends, or one other call. */
export type Item = { drafts: PackedDrafts } | Call;

/** The last thing a worker is told. */
export const closeMessage = "close";

/** The first thing a worker says. */
export type Greeting =
  | {
      ready: Identity;
      /** The names of the commands it runs, but for `append`. */
      commands: string[];
    }
  | { failed: PackedError };

/** A worker's answer to a batch. */
export type Answer =
  | {
      /** Results of the appends, in order; see `packAppended`. */
      appended: Float64Array;
      /** Results of the other calls, in order. */
      values: unknown[];
      /** The refusals, each with the number of its call in the batch. */
      errors: Array<[number, PackedError]>;
    }
  | { failed: PackedError };

/** Packs a batch, and lists what is moved to the worker rather than copied. */
export function packCalls(calls: readonly Call[]): { items: Item[]; moved: ArrayBuffer[] } {
  const items: Item[] = [];
  const moved: ArrayBuffer[] = [];
  let drafts: Draft[] = [];
  const endRun = () => {
    if (drafts.length === 0) return;
    const packed = packDrafts(drafts);
    items.push({ drafts: packed });
    moved.push(packed.numbers.buffer, packed.bodies.buffer);
    drafts = [];
  };
  for (const call of calls) {
    if (call.name === "append") {
      drafts.push(call.args[0] as Draft);
    } else {
      endRun();
      items.push(call);
    }
  }
  endRun();
  return { items, moved };
}

/** An error on its way between threads, which keep neither classes nor fields of errors. */
export interface PackedError {
  refusal?: { reason: ErrorReason; message: string; details: ChatErrorDetails };
  cause: unknown;
}

/** Packs an error. */
export function packError(error: unknown): PackedError {
  if (!(error instanceof ChatError)) return { cause: error };
  const { cause, ...details } = error.details;
  return { refusal: { reason: error.reason, message: error.message, details }, cause };
}

/** Unpacks an error. */
export function unpackError({ refusal, cause }: PackedError): unknown {
  if (refusal === undefined) return cause;
  const details = cause === undefined ? refusal.details : { ...refusal.details, cause };
  return new ChatError(refusal.reason, refusal.message, details);
}
