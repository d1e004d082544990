import { abuseFault } from "./abuse/abuse-fault.ts";
import { attacks } from "./abuse/attacks.ts";
import { clusterFaults } from "./cluster/catalogue.ts";
import type { Fault } from "./fault.ts";
import { accessFaults } from "./faults/access.ts";
import { changeFaults } from "./faults/change.ts";
import { clientsFaults } from "./faults/clients.ts";
import { modelFaults } from "./faults/model.ts";
import { networkFaults } from "./faults/network.ts";
import { processFaults } from "./faults/process.ts";
import { readersFaults } from "./faults/readers.ts";
import { resourcesFaults } from "./faults/resources.ts";
import { storageFaults } from "./faults/storage.ts";
import { timeFaults } from "./faults/time.ts";

/** One user or one address that asks for more than its share. */
export const abuseFaults: readonly Fault[] = attacks.map(abuseFault);

/** Every fault that one server meets, in the order of the report. */
export const faults: readonly Fault[] = [
  ...processFaults,
  ...storageFaults,
  ...networkFaults,
  ...readersFaults,
  ...timeFaults,
  ...clientsFaults,
  ...modelFaults,
  ...accessFaults,
  ...changeFaults,
  ...resourcesFaults,
  ...abuseFaults,
];

/** Finds a fault by its name or its number, among those of several nodes, too. */
export function findFault(name: string): Fault | undefined {
  return [...faults, ...clusterFaults].find((fault) => fault.name === name || fault.id === name);
}
