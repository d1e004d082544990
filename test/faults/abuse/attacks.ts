import type { Attack } from "./attack.ts";
import { crowdAttacks } from "./attacks/crowds.ts";
import { floodAttacks } from "./attacks/floods.ts";
import { frameAttacks } from "./attacks/frames.ts";
import { readAttacks } from "./attacks/reads.ts";
import { requestAttacks } from "./attacks/requests.ts";

/**
 * Every attack. To add one, write an `Attack` in a file of `attacks/` and name it here: it is then a fault like any
 * other, run by `npm run faults -- abuse` and by `run NAME`, and with `ci: true` after the tests. Its `run` is called in a process of its own
 * and goes on until the signal aborts. What others see meanwhile, and the server's memory, are measured for it
 * (`abuse-fault.ts`); it tells itself only what it did, and what it should have been refused.
 */
export const attacks: readonly Attack[] = [
  ...floodAttacks,
  ...crowdAttacks,
  ...frameAttacks,
  ...readAttacks,
  ...requestAttacks,
];
