/** Whether docs/reliability.md tells of the faults that there are, and of the code that there is. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { describeUnless } from "../../support/describe-unless.ts";
import { commitsSince, isInHistory, missingHistory } from "./history.ts";
import { readResults } from "./results.ts";
import { type SectionName, sectionNames, subjects } from "./sections.ts";
import { page, withTables } from "./tables.ts";

const results = readResults();

describe("the report on reliability", () => {
  test.each(sectionNames)("has a row of each fault or bug there is, and of no other: %s", (section) => {
    expect(results[section].map(({ name }) => name)).toEqual(subjects[section].map(({ name }) => name));
  });

  test("has the tables of its results; if not, run `npm run faults -- report --tables`", () => {
    const text = readFileSync(page, "utf8");
    expect(text).toBe(withTables(text, results));
  });
});

describeUnless(
  missingHistory(sectionNames.flatMap(commitsOf)),
  "each row of the report on reliability",
  () => {
    test.each(sectionNames)("was made on a commit of this history: %s", (section) => {
      expect(commitsOf(section).filter((commit) => !isInHistory(commit))).toEqual([]);
    });

    test.each(sectionNames)("tells how far the code has gone since: %s", (section) => {
      const since = new Map(commitsOf(section).map((commit) => [commit, commitsSince(commit)]));
      expect([...since.values()]).not.toContain(Number.NaN);
      const stale = results[section].filter(({ commit }) => since.get(commit) !== 0);
      if (stale.length > 0)
        process.stderr.write(
          `${page} is stale: up to ${Math.max(...since.values())} commits changed the code since ${stale.length} of ${results[section].length} rows of ${section} were made; \`npm run faults -- report --only ${section}\` makes them anew\n`,
        );
    });
  },
);

function commitsOf(section: SectionName): string[] {
  return [...new Set(results[section].map(({ commit }) => commit))];
}
