import type { Fault } from "../fault.ts";
import { busFaults } from "./faults/bus.ts";
import { clusterClientFaults } from "./faults/clients.ts";
import { databaseFaults } from "./faults/database.ts";
import { loadFaults } from "./faults/load.ts";
import { nodeFaults } from "./faults/nodes.ts";
import { updateFaults } from "./faults/updates.ts";

/** Every fault that needs several nodes, in the order of the report. */
export const clusterFaults: readonly Fault[] = [
  ...busFaults,
  ...nodeFaults,
  ...databaseFaults,
  ...clusterClientFaults,
  ...updateFaults,
  ...loadFaults,
];
