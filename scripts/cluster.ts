/**
 * `npm run cluster`: starts a whole service on this machine (PostgreSQL, NATS
 * and several nodes, each a process of its own) and stops all of it in the end.
 */

import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { onStopSignals } from "../src/cli/stop-signals.ts";
import { type Cluster, clusterMissing, startCluster } from "../test/support/cluster.ts";
import { exitOf } from "../test/support/serve-child.ts";

const usage = `Starts PostgreSQL, NATS and several nodes of Parlance on loopback, on data that is thrown away.

  npm run cluster                         until Ctrl-C; prints where the nodes are
  npm run cluster -- --nodes 5            with so many nodes, by default 3
  npm run cluster -- replay FILE...       lives recorded days through it, as \`parlance replay\`, with the
                                          users spread over the nodes; with --json prints one JSON object
  npm run cluster -- --help
`;

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const maxNodes = 50;

/** What was asked for. */
interface Asked {
  nodes: number;
  /** The arguments of `parlance replay`; undefined to stay until Ctrl-C. */
  replay: string[] | undefined;
}

/** Reads the command line; returns undefined, having said so, when it is wrong or asks for help. */
function read(args: readonly string[]): Asked | undefined {
  let nodes = 3;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === "replay") return { nodes, replay: args.slice(i + 1) };
    if (arg === "--help" || arg === "-h") {
      process.stdout.write(usage);
      return undefined;
    }
    if (arg !== "--nodes") return refuse(`${arg} is no option or command`);
    nodes = Number(args[++i]);
    if (!Number.isInteger(nodes) || nodes < 1 || nodes > maxNodes)
      return refuse(`--nodes must be a whole number from 1 to ${maxNodes}, but is ${args[i]}`);
  }
  return { nodes, replay: undefined };
}

function refuse(why: string): undefined {
  process.stderr.write(`cluster: ${why}; \`npm run cluster -- --help\` tells more\n`);
  process.exitCode = 2;
}

async function run({ nodes, replay }: Asked, stop: AbortSignal): Promise<number> {
  process.stderr.write(`Starting PostgreSQL, NATS and ${nodes} nodes\n`);
  const cluster = await startCluster(nodes);
  try {
    if (stop.aborted) return 1;
    return replay === undefined ? await stay(cluster, stop) : await runReplay(cluster, replay, stop);
  } finally {
    process.stderr.write("Stopping\n");
    await cluster.close();
  }
}

/** Says where everything is, and waits. */
async function stay(cluster: Cluster, stop: AbortSignal): Promise<number> {
  const { nodes, databaseUrl, nats } = cluster;
  const lines = nodes.map(
    ({ name, address, httpAddress, adminAddress }) =>
      `${name}: gRPC ${address}, HTTP http://${httpAddress}, operators ${adminAddress}`,
  );
  lines.push(
    `PostgreSQL: ${databaseUrl}`,
    `NATS: ${nats.url}`,
    "",
    `npm run --silent parlance -- admin nodes --server ${nodes[0]?.adminAddress}`,
    `npm run --silent parlance -- tail --as alice --server ${cluster.addresses.join(",")}`,
    "",
    "Ctrl-C stops all of it.",
  );
  process.stdout.write(`${lines.join("\n")}\n`);
  for (const node of nodes) {
    void node.exited.then((how) => {
      if (!stop.aborted) process.stderr.write(`${node.name} ended with ${how}: ${node.stderr()}\n`);
    });
  }
  await new Promise<void>((resolve) => stop.addEventListener("abort", () => resolve()));
  return 0;
}

/** Runs `parlance replay` against all nodes, and adds their number to what it prints. */
async function runReplay(
  { addresses, nodes }: Cluster,
  args: readonly string[],
  stop: AbortSignal,
): Promise<number> {
  const all = [main, "replay", ...args, "--address", addresses.join(",")];
  const child = spawn(process.execPath, all, { stdio: ["ignore", "pipe", "inherit"] });
  stop.addEventListener("abort", () => child.kill("SIGTERM"));
  const [output, how] = await Promise.all([text(child.stdout), exitOf(child)]);
  process.stdout.write(withNodes(output, nodes.length, args.includes("--json")));
  return typeof how === "number" ? how : 1;
}

function withNodes(output: string, nodes: number, json: boolean): string {
  if (output === "") return "";
  return json ? `${JSON.stringify({ ...JSON.parse(output), nodes })}\n` : `${output}nodes ${nodes}\n`;
}

/** The first signal stops everything in order, the second at once. */
function stopOnSignals(): AbortSignal {
  const stop = new AbortController();
  onStopSignals(
    ["SIGINT", "SIGTERM", "SIGHUP"],
    () => stop.abort(),
    () => process.exit(1),
  );
  return stop.signal;
}

const asked = read(process.argv.slice(2));
if (asked !== undefined && clusterMissing !== undefined) {
  process.stderr.write(`cluster: ${clusterMissing}\n`);
  process.exitCode = 1;
} else if (asked !== undefined) {
  try {
    process.exitCode = await run(asked, stopOnSignals());
  } catch (error) {
    process.stderr.write(`cluster: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
