/** The commands for operators: `parlance admin nodes` and `parlance admin drain`. */

import { setTimeout as sleep } from "node:timers/promises";
import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { type ArgsDef, defineCommand } from "citty";
import {
  DrainNodeResponseSchema,
  ListNodesResponseSchema,
  type Node,
  NodeState,
} from "../../gen/parlance/admin/v1/admin_service_pb.js";
import { loadSettings } from "../config/config.ts";
import { type AdminClient, withAdmin } from "./admin-client.ts";
import { fail, failUsage, warnOfVisibleSecrets } from "./errors.ts";
import { createProgress } from "./progress.ts";

/** The port that is asked when nothing says another. */
const defaultAdminPort = 50_052;
/** Clocks that differ by more are warned of. */
const clockToleranceMs = 3_000;
const pollMs = 500;
/** A node that is missing from so many lists in a row has ended, or hangs. */
const missingTimes = 3;

const adminArgs = {
  server: {
    type: "string",
    valueHint: "host:port",
    description: `The admin port of any node; https://host:port for TLS. (Default: as PARLANCE_ADMIN_HOST and PARLANCE_ADMIN_PORT say, else 127.0.0.1:${defaultAdminPort})`,
  },
  token: {
    type: "string",
    valueHint: "text",
    description:
      "The server's adminToken. Better kept in PARLANCE_ADMIN_TOKEN or PARLANCE_ADMIN_TOKEN_FILE: other users can see command lines.",
  },
  config: { type: "string", valueHint: "file", description: "A JSON file with settings, as for serve." },
  json: { type: "boolean", description: "Print the result as JSON." },
} as const satisfies ArgsDef;

const nodesCommand = defineCommand({
  meta: { name: "nodes", description: "List the nodes of a running service." },
  args: adminArgs,
  async run({ args }) {
    const response = await withAdmin(placeOf(args), (admin) => admin.listNodes({}));
    print(args.json, ListNodesResponseSchema, response, formatNodes(response.nodes));
    warnOfClocks(response.nodes);
  },
});

const drainCommand = defineCommand({
  meta: {
    name: "drain",
    description: "Have a node send its sessions to the others and take no new ones, before it is stopped.",
  },
  args: {
    node: { type: "positional", required: true, valueHint: "name", description: "The node." },
    wait: { type: "boolean", description: "Wait until it has no sessions any more." },
    rate: {
      type: "string",
      valueHint: "number",
      description:
        "The most sessions it sends away per second; 0 for all at once. (Default: the server's drainSessionsPerSecond)",
    },
    ...adminArgs,
  },
  async run({ args }) {
    if (args._.length > 1) failUsage(`${args._[1]} is one word too many`, "drain one node at a time");
    const sessionsPerSecond = args.rate === undefined ? undefined : rateOf(args.rate);
    const response = await withAdmin(placeOf(args), async (admin) => {
      const response = await admin.drainNode({
        nodeName: args.node,
        ...(sessionsPerSecond !== undefined && { sessionsPerSecond }),
      });
      if (args.wait && response.node) response.node = await untilDrained(admin, response.node);
      return response;
    });
    const { node } = response;
    const text =
      node?.state === NodeState.DRAINED
        ? `${args.node} has no sessions any more and can be stopped`
        : `${args.node} sends ${node?.sessions} sessions away; \`parlance admin nodes\` tells how far it is`;
    print(args.json, DrainNodeResponseSchema, response, text);
  },
});

/** `parlance admin`: what operators do with a running service. */
export const adminCommand = defineCommand({
  meta: { name: "admin", description: "See the nodes of a running service, and drain one." },
  subCommands: { nodes: nodesCommand, drain: drainCommand },
});

function placeOf(args: {
  server?: string | undefined;
  token?: string | undefined;
  config?: string | undefined;
}) {
  warnOfVisibleSecrets({ adminToken: args.token }, { "--admin-token": "--token" });
  const { config: file } = args;
  const { adminHost, adminPort = defaultAdminPort } = loadSettings(["adminHost", "adminPort"], { file });
  const host = adminHost.includes(":") ? `[${adminHost}]` : adminHost;
  const token = args.token ?? loadSettings(["adminToken"], { file }).adminToken;
  return { address: args.server ?? `${host}:${adminPort}`, token };
}

function rateOf(text: string): number {
  const rate = Number(text);
  if (!/^\d{1,7}$/.test(text) || rate > 1_000_000)
    failUsage(`--rate is ${text}`, "it is a whole number from 0 to 1,000,000");
  return rate;
}

/** Shows how the sessions of a node get fewer, and returns it when there are none. */
async function untilDrained(admin: AdminClient, begun: Node): Promise<Node> {
  const progress = createProgress(process.stderr);
  progress.begin(`draining ${begun.name}`, begun.sessions);
  let left = begun.sessions;
  for (let missing = 0; missing < missingTimes; await sleep(pollMs)) {
    const { nodes } = await admin.listNodes({});
    const node = nodes.find(({ instanceId }) => instanceId === begun.instanceId);
    if (node === undefined) {
      missing++;
      continue;
    }
    missing = 0;
    for (; left > node.sessions; left--) progress.step();
    if (node.state !== NodeState.DRAINED) continue;
    progress.end(`${begun.sessions} sessions sent away`);
    return node;
  }
  fail(`${begun.name} no longer answers`, "look at its log: it has ended, or hangs");
}

/** Writes nodes as a table, one line a node. */
export function formatNodes(nodes: readonly Node[]): string {
  const head = ["name", "address", "version", "sessions", "users", "state", "uptime", "clock"];
  const rows = nodes.map((node) => [
    node.name,
    node.address,
    node.version,
    String(node.sessions),
    String(node.users),
    (NodeState[node.state] ?? "").toLowerCase(),
    formatDuration(node.uptime ? durationMs(node.uptime) : 0),
    formatOffset(offsetOf(node)),
  ]);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [head, ...rows].map(line).join("\n");
}

function warnOfClocks(nodes: readonly Node[]): void {
  const [slow, ...others] = nodes.toSorted((a, b) => offsetOf(a) - offsetOf(b));
  const fast = others.at(-1);
  if (slow === undefined || fast === undefined) return;
  const differMs = offsetOf(fast) - offsetOf(slow);
  if (differMs <= clockToleranceMs) return;
  process.stderr.write(
    `parlance: the clocks of ${slow.name} and ${fast.name} differ by at least ${formatDuration(differMs)}; set them by NTP\n`,
  );
}

function offsetOf({ clockOffset }: Node): number {
  return clockOffset ? durationMs(clockOffset) : 0;
}

function formatOffset(ms: number): string {
  if (ms === 0) return "ok";
  return `${ms < 0 ? "-" : "+"}${formatDuration(Math.abs(ms))}`;
}

/** Writes a duration with its two largest units. */
function formatDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first === -1) return `${Math.round(ms)}ms`;
  return parts
    .slice(first, first + 2)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join(" ");
}

function print<Desc extends DescMessage>(
  json: boolean | undefined,
  schema: Desc,
  message: MessageShape<Desc>,
  text: string,
): void {
  const line = json ? JSON.stringify(toJson(schema, message, { alwaysEmitImplicit: true })) : text;
  process.stdout.write(`${line}\n`);
}
