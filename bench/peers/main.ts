/** `npm run bench -- peers`, also by itself: `node bench/peers/main.ts`. */

import { type ArgsDef, defineCommand, renderUsage, runCommand } from "citty";
import { checkArguments } from "../../src/cli/arguments.ts";
import { failUsage, report } from "../../src/cli/errors.ts";
import { jobs } from "./measure.ts";
import { absentPeers, peers } from "./peers.ts";
import { peerMarkdown, peerTable } from "./rows.ts";
import { runPeers } from "./run.ts";

export type { PeerRow } from "./rows.ts";
export { type PeersOptions, runPeers } from "./run.ts";

/** The command that measures other servers. */
export const peersCommand = defineCommand({
  meta: { name: "peers", description: "Measure other servers in the same jobs, on this machine." },
  args: {
    json: { type: "boolean", description: "Print rows as JSON." },
    markdown: { type: "boolean", description: "Print the table as Markdown." },
    quick: { type: "boolean", description: "Only show that it runs, in a minute, with what is installed." },
    only: {
      type: "string",
      description: "Measure these peers only: names with commas between.",
      valueHint: "NAME,...",
    },
    jobs: { type: "string", description: `Do these jobs only: ${jobs.join(", ")}.`, valueHint: "JOB,..." },
    receivers: { type: "string", description: "How many are in the group. Default 1000.", valueHint: "N" },
    sessions: {
      type: "string",
      description: "How many idle sessions there are. Default 1000.",
      valueHint: "N",
    },
    seconds: {
      type: "string",
      description: "How long each of three samples takes. Default 3.",
      valueHint: "S",
    },
    list: { type: "boolean", description: "List the peers and leave." },
  },
  async run({ args }) {
    if (args.list) {
      console.log(list());
      return;
    }
    const rows = await runPeers({
      quick: args.quick === true,
      ...(args.only !== undefined && {
        only: named(
          "peer",
          args.only,
          [...peers, ...absentPeers].map(({ name }) => name),
        ),
      }),
      ...(args.jobs !== undefined && { jobs: named("job", args.jobs, jobs) }),
      ...(args.receivers !== undefined && { receivers: positive("receivers", args.receivers) }),
      ...(args.sessions !== undefined && { sessions: positive("sessions", args.sessions) }),
      ...(args.seconds !== undefined && { seconds: positive("seconds", args.seconds) }),
      progress: (text) => console.error(text),
    });
    if (args.json) console.log(JSON.stringify(rows, null, 2));
    else console.log(args.markdown ? peerMarkdown(rows) : peerTable(rows));
  },
});

if (import.meta.main) {
  // Servers that were started end when this process exits.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
  try {
    await main(process.argv.slice(2));
    process.exit();
  } catch (error) {
    process.exit(report(error));
  }
}

async function main(rawArgs: string[]): Promise<void> {
  if (rawArgs.includes("--help")) {
    console.log(await renderUsage(peersCommand));
    return;
  }
  checkArguments("peers", rawArgs, peersCommand.args as ArgsDef);
  await runCommand(peersCommand, { rawArgs });
}

function list(): string {
  return [
    ...peers.map(
      ({ name, mode, durable, settings }) => `${name} (${mode}${durable ? ", durable" : ""}): ${settings}`,
    ),
    ...absentPeers.map(({ name, reason }) => `${name}: not measured; ${reason}`),
  ].join("\n");
}

function named<Name extends string>(what: string, value: string, known: readonly Name[]): Name[] {
  return value.split(",").map((name) => {
    const found = known.find((one) => one === name.trim());
    return found ?? failUsage(`${name} is no ${what}`, `there are ${[...new Set(known)].join(", ")}`);
  });
}

function positive(name: string, value: string): number {
  const number = Number(value);
  return number > 0
    ? number
    : failUsage(`--${name} ${value} is no number above 0`, "leave it out for the default");
}
