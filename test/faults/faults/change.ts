/** Faults of change: what one version leaves to another. */

import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { checkStore } from "../../../src/store/sqlite/file/check.ts";
import { openFixture } from "../../support/store-fixture.ts";
import { type UserDevices, viewStore } from "../../support/store-view.ts";
import type { Violation } from "../checker/violation.ts";
import type { Fault } from "../fault.ts";

const folder = fileURLToPath(new URL("../../fixtures/", import.meta.url));

/** Stores that earlier versions wrote. */
const oldStores: Fault = {
  id: "U1",
  name: "old-stores",
  title: "data written by every released version is opened by this one",
  figureTitle: "schema versions covered",
  ci: true,
  missing: () => (fixtures().length === 0 ? "there is no fixture of an earlier store" : undefined),
  async run(context) {
    const violations: Violation[] = [];
    const names = fixtures();
    for (const name of names) {
      const { users, view } = JSON.parse(readFileSync(`${folder}${name}.json`, "utf8")) as {
        users: UserDevices[];
        view: unknown;
      };
      const { server, close } = await openFixture(`${folder}${name}.db.gz`);
      context.defer(close);
      const broken = checkStore(server.server.dataFile).flatMap(({ rule, problems }) =>
        problems.map((problem) => `not true that ${rule}: ${problem}`),
      );
      violations.push(...broken.map((text): Violation => ({ rule: "I3", text: `${name}: ${text}` })));
      if (!isDeepStrictEqual(await viewStore(server, users), view))
        violations.push({ rule: "I1", text: `${name}: its users do not see what they saw` });
    }
    return { rounds: names.length, violations, figure: `${names.join(", ")}; every user sees what they saw` };
  },
};

/** The names of the fixtures, without their extensions. */
function fixtures(): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .map(({ name }) => /^(store-v\d+)\.db\.gz$/.exec(name)?.[1])
    .filter((name) => name !== undefined)
    .sort();
}

/** Faults of change. */
export const changeFaults: readonly Fault[] = [oldStores];
