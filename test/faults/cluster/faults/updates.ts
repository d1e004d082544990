/** Releases beside each other: nodes of an earlier one, and events of a later one. */

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { ownMain } from "../../../support/serve-child.ts";
import { appendUnknownTo } from "../../../support/unknown-events.ts";
import type { Violation } from "../../checker/violation.ts";
import type { FaultContext } from "../../context.ts";
import type { Fault } from "../../fault.ts";
import { ms, percentile } from "../../figures.ts";
import type { Storm } from "../../storm.ts";
import { clusterFault, startSpreadStorm, untilAllLive } from "../cluster-fault.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));

/** The last commit at which log events did not tell where they stand. */
const earlierCommit = "e3af8b361d";

function missingCommit(): string | undefined {
  const found = spawnSync("git", ["-C", root, "cat-file", "-e", `${earlierCommit}^{commit}`]);
  return found.status === 0 ? undefined : `there is no commit ${earlierCommit}: this is no whole clone`;
}

/** Unpacks the sources of a commit, and returns the path of their `main.ts`. */
function checkOut(context: FaultContext, commit: string): string {
  const folder = mkdtempSync(join(tmpdir(), "parlance-earlier-"));
  context.defer(() => rmSync(folder, { recursive: true, force: true }));
  const tar = execFileSync("git", ["-C", root, "archive", commit, "src", "gen", "clients", "package.json"], {
    maxBuffer: 1 << 28,
  });
  execFileSync("tar", ["-x", "-C", folder], { input: tar });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return join(folder, "src/main.ts");
}

/** What applications on the SDK were told of the fault. */
function shownErrors(storm: Storm): Violation[] {
  return storm.histories
    .filter(({ kind }) => kind === "sdk")
    .flatMap(({ client, entries }) =>
      entries.flatMap((entry) =>
        // Everybody writes to every group, and is in two of three.
        (entry.type === "unknown" || entry.type === "fail") && entry.error.reason !== "NOT_A_MEMBER"
          ? [{ rule: "I14", text: `${client} was shown ${entry.error.code} ${entry.error.reason}` }]
          : [],
      ),
    );
}

const rollingUpdate = clusterFault({
  id: "U2",
  name: "rolling-update",
  title: "three nodes of an earlier release are replaced one by one under load",
  figureTitle: "errors that reach an application on the SDK, how long a node took to end",
  ci: false,
  missing: missingCommit,
  async run(context) {
    const main = checkOut(context, earlierCommit);
    const cluster = await context.cluster({
      args: ["--drain-grace-ms", "5000"],
      optionsOf: () => ({ main }),
    });
    const storm = await startSpreadStorm(context, cluster, { membership: false });
    const violations: Violation[] = [];
    const stops: number[] = [];
    for (const node of cluster.servers) {
      await delay(context.scale(2_000, 8_000));
      const stopMs = performance.now();
      const how = await node.terminate();
      stops.push(performance.now() - stopMs);
      if (how !== 0) violations.push({ rule: "I15", text: `a node that was stopped ended with ${how}` });
      await node.start({ main: ownMain });
      violations.push(...(await untilAllLive(storm)));
    }
    await delay(context.scale(2_000, 8_000));
    violations.push(...(await context.conclude(cluster)));
    const shown = shownErrors(storm);
    return {
      rounds: cluster.servers.length,
      violations: [...violations, ...shown],
      figure: `${shown.length} errors reached applications on the SDK, of ${storm.acknowledged} messages; ${storm.reconnects} streams opened again; a node ended after p50 ${ms(percentile(stops, 50))}, max ${ms(percentile(stops, 100))}`,
    };
  },
});

const unknownKind = clusterFault({
  id: "U4",
  name: "unknown-kind",
  title: "events of a kind that no node knows are appended to all conversations under load",
  figureTitle: "streams that were opened again, such events, messages",
  ci: true,
  async run(context) {
    const cluster = await context.cluster();
    const storm = await startSpreadStorm(context, cluster);
    const violations = await untilAllLive(storm);
    const before = storm.reconnects;
    const count = context.scale(150, 1_000);
    const rows = await cluster.query("SELECT conversation_id FROM parlance.conversations");
    const ids = rows.map((row) => String(row["conversation_id"]));
    for (let n = 0; n < count; n++) {
      const id = ids[Math.floor(context.random() * ids.length)];
      if (id !== undefined) await appendUnknownTo(cluster.postgres, cluster.databaseUrl, id);
    }
    const again = storm.reconnects - before;
    if (again > 0) violations.push({ rule: "I6", text: `${again} streams were opened again` });
    violations.push(...(await context.conclude(cluster)));
    return {
      rounds: 1,
      violations,
      figure: `${again} streams opened again for ${count} events that nobody knows, between ${storm.acknowledged} messages in ${ids.length} conversations`,
    };
  },
});

export const updateFaults: readonly Fault[] = [rollingUpdate, unknownKind];
