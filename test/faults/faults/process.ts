import type { Fault } from "../fault.ts";
import { dieAroundCommit, dieBeforeFanOut, killStorm } from "./crash.ts";
import { blockEventLoop, freezeClient, freezeServer } from "./pause.ts";
import { killForMemory, throttleCpu } from "./starve.ts";
import { drainAll } from "./stop.ts";
import { throwingHandler } from "./throwing.ts";

/** Faults of the server's process. */
export const processFaults: readonly Fault[] = [
  killStorm,
  dieAroundCommit,
  dieBeforeFanOut,
  drainAll,
  freezeServer,
  freezeClient,
  killForMemory,
  throwingHandler,
  blockEventLoop,
  throttleCpu,
];
