import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import type { Job } from "./load/orders.ts";
import { jobs, measure, reasonOf, rowHead, type Sizes } from "./measure.ts";
import type { Peer } from "./peer.ts";
import { absentPeers, peers } from "./peers.ts";
import type { PeerRow } from "./rows.ts";

/** What to measure, and how much. */
export interface PeersOptions {
  /** Only shows that it runs, with tiny sizes and figures that mean nothing; installs nothing. */
  quick?: boolean;
  /** The names of the peers to measure. Default: all. */
  only?: readonly string[];
  jobs?: readonly Job[];
  receivers?: number;
  sessions?: number;
  seconds?: number;
  /** Tells people what goes on. */
  progress?: (text: string) => void;
}

/** How long measuring may take, set-up aside, on a machine with other things to do. */
const longestMs = 14 * 60_000;

const fullSizes: Sizes = {
  receivers: 1_000,
  writers: 100,
  sessions: 1_000,
  seconds: 3,
  samples: 3,
  settleSeconds: 2,
};
const quickSizes: Sizes = {
  receivers: 20,
  writers: 10,
  sessions: 20,
  seconds: 0.2,
  samples: 1,
  settleSeconds: 0.1,
};

/** Measures peers in the same jobs as Parlance, one after the other. What cannot be measured is a row with the reason. */
export async function runPeers(options: PeersOptions = {}): Promise<PeerRow[]> {
  const { quick = false, only, progress = () => {} } = options;
  const sizes = sizesFor(options);
  const wanted = (name: string) => only === undefined || only.includes(name);
  const doing = jobs.filter((job) => options.jobs === undefined || options.jobs.includes(job));
  const rows: PeerRow[] = [];
  let deadlineMs = performance.now() + longestMs;
  for (const peer of peers.filter(({ name }) => wanted(name))) {
    const beforeMs = performance.now();
    const installed = await prepare(peer, quick, progress);
    deadlineMs += performance.now() - beforeMs;
    if ("reason" in installed) {
      rows.push(...doing.map((job) => ({ ...rowHead(peer, job, sizes), ...installed })));
      continue;
    }
    // Each job finds a fresh server, unless it only has to run.
    for (const together of quick ? [doing] : doing.map((job) => [job])) {
      if (performance.now() > deadlineMs) {
        rows.push(
          ...together.map((job) => ({ ...rowHead(peer, job, sizes), reason: "there was no time left" })),
        );
        continue;
      }
      progress(`${peer.name} (${peer.mode}): ${together.join(", ")}`);
      const measured = await measure(peer, together, sizes);
      rows.push(...measured.map((row) => ({ ...row, ...installed })));
    }
  }
  for (const { reason, ...absent } of absentPeers.filter(({ name }) => wanted(name))) {
    for (const job of doing) rows.push({ ...rowHead(absent, job, sizes), reason });
  }
  const about = circumstances();
  return rows.map((row) => ({ ...row, ...about }));
}

function sizesFor({ quick = false, receivers, sessions, seconds }: PeersOptions): Sizes {
  return {
    ...(quick ? quickSizes : fullSizes),
    ...(receivers !== undefined && { receivers }),
    ...(sessions !== undefined && { sessions }),
    ...(seconds !== undefined && { seconds }),
  };
}

/** Sees to it that all is there that a peer needs, and returns its version, or why it cannot be run. */
async function prepare(
  { name, needs }: Peer,
  quick: boolean,
  progress: (text: string) => void,
): Promise<{ version: string } | { reason: string }> {
  const versions: string[] = [];
  for (const need of needs) {
    let version = need.version();
    if (version === undefined) {
      if (quick) return { reason: "not installed, and a quick run installs nothing" };
      progress(`${name}: installing what it needs`);
      try {
        await need.install();
      } catch (error) {
        return reasonOf(error);
      }
      version = need.version();
    }
    versions.push(version ?? "");
  }
  return { version: versions[0] ?? "" };
}

/** What belongs to all figures. */
function circumstances(): Pick<PeerRow, "date" | "commit" | "machine"> {
  const [first] = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    machine: `${cpus().length} × ${first?.model ?? "unknown"}`,
  };
}

function commit(): string {
  try {
    const describe = ["-C", import.meta.dirname, "describe", "--always"];
    return execFileSync("git", describe, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    // Sources need not be a repository.
    return "unknown";
  }
}
