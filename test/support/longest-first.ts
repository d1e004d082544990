import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Starts with the files that take longest, so that none of them is left for the end, when others have nothing to do. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    // By what they took here before, where that is known; else by size, which says little of those that wait.
    return sorted.toSorted((one, other) => rank(one) - rank(other));
  }
}

function rank({ project }: TestSpecification): number {
  return project.name === "slow" ? 0 : 1;
}
