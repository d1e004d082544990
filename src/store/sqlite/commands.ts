/** The commands of the store's workers. */

import type { CatchUpPage } from "../../model/records.ts";
import type { DeviceStore } from "../ports/devices.ts";
import type { Store } from "../store.ts";
import { type PackedEvents, packEvents, unpackEvents } from "./thread/packed-events.ts";

/** The methods of the store that a worker runs, and one of its own. */
interface Methods
  extends Omit<Store, "epoch" | "salt" | "onAppended" | "onEnding" | "onWriteFailed" | "close"> {
  /** Takes away what `probe` wrote. */
  endProbe(): Promise<void>;
}

/** The name of a command. */
export type Command = keyof Methods;
/** A worker that runs commands. */
export type Thread = "writer" | "reader";

/** The commands of the writer. Every other method is the reader's, so a new read needs no line here. */
type WriterCommand = Extract<
  Command,
  | "append"
  | "markRead"
  | "change"
  | keyof DeviceStore
  | "createSession"
  | "deleteSessions"
  | "setLastActive"
  | "addStoredBytes"
  | "probe"
  | "endProbe"
>;

/** The commands of a worker. What it lacks is an error of the compiler, in the worker. */
export type CommandOf<T extends Thread> = T extends "writer"
  ? WriterCommand
  : Exclude<Command, WriterCommand>;

/** The arguments of a command. */
export type ArgumentsOf<N extends Command> = Parameters<Methods[N]>;
/** The result of a command. */
export type ResultOf<N extends Command> = Awaited<ReturnType<Methods[N]>>;

/** Results that travel between threads in another form. */
interface Packed {
  readSeqs: PackedEvents;
  readTail: PackedEvents;
  readMissed: Omit<CatchUpPage, "events"> & { events: PackedEvents };
}

/** A worker's answer to a command. */
export type AnswerOf<N extends Command> = N extends keyof Packed ? Packed[N] : ResultOf<N>;

/** The functions a worker has to have, by command. Appends of messages arrive packed, by another way. */
export type Handlers<T extends Thread> = {
  readonly [N in Exclude<CommandOf<T>, "append">]: (...args: ArgumentsOf<N>) => AnswerOf<N>;
};

/** Packs the results that travel in another form, for the worker that has them. */
export const packing: { [N in keyof Packed]: (result: ResultOf<N>) => Packed[N] } = {
  readSeqs: packEvents,
  readTail: packEvents,
  readMissed: ({ events, ...page }) => ({ ...page, events: packEvents(events) }),
};

const unpacking: { [N in keyof Packed]: (packed: Packed[N]) => ResultOf<N> } = {
  readSeqs: unpackEvents,
  readTail: unpackEvents,
  readMissed: ({ events, ...page }) => ({ ...page, events: unpackEvents(events) }),
};

/** Unpacks what a worker answered. */
export function unpackAnswer(name: string, answer: unknown): unknown {
  const unpack = (unpacking as Record<string, ((packed: never) => unknown) | undefined>)[name];
  return unpack === undefined ? answer : unpack(answer as never);
}

/**
 * Runs a command.
 *
 * @throws Error when the worker has none of this name: what does nothing must not look as if it had been done
 */
export function runCommand<T extends Thread>(
  handlers: Handlers<T>,
  name: string,
  args: readonly unknown[],
): unknown {
  if (!Object.hasOwn(handlers, name)) throw new Error(`this worker has no command ${name}`);
  const handler = (handlers as unknown as Record<string, (...args: unknown[]) => unknown>)[name];
  return handler?.(...args);
}
