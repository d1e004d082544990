/** What docs/reliability.md has tables of. */

import { abuseFaults, faults } from "../catalogue.ts";
import { clusterFaults } from "../cluster/catalogue.ts";
import { bugs } from "../planted/bugs.ts";
import { soakFault } from "../soak.ts";

/** The sections of the report, named after the commands that make them, in the order in which they are made. */
export const sectionNames = ["full", "planted", "cluster", "abuse", "soak"] as const;
export type SectionName = (typeof sectionNames)[number];

/** What has a row in a section: a fault, or a bug to plant. */
export interface Subject {
  id: string;
  name: string;
  /** What is done, or what is wrong. */
  title: string;
}

/** What each section has a row of, in the order of its table. */
export const subjects: Readonly<Record<SectionName, readonly Subject[]>> = {
  full: faults.filter((fault) => !abuseFaults.includes(fault)),
  planted: bugs.map(({ number, name, text }) => ({ id: String(number), name, title: text })),
  cluster: clusterFaults,
  abuse: abuseFaults,
  soak: [soakFault(0)],
};

/** Tells whether something names a section. */
export function isSection(name: string): name is SectionName {
  return (sectionNames as readonly string[]).includes(name);
}
