/** The command `npm run bench`: measures a running server, beside the least that its work could cost. */

import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ArgsDef, type CommandDef, defineCommand, renderUsage, runCommand } from "citty";
import { checkArguments } from "../src/cli/arguments.ts";
import { failUsage, report } from "../src/cli/errors.ts";
import { cases } from "./cases/catalogue.ts";
import type { Case, Context } from "./lib/context.ts";
import { pinLoad } from "./lib/pinning.ts";
import { summarise } from "./lib/profile.ts";
import { markdown, type Row, table } from "./lib/row.ts";
import { peersCommand } from "./peers/main.ts";
import { makePlots } from "./plots.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

const runArgs = {
  json: { type: "boolean", description: "Print an array of rows as JSON on the standard output." },
  markdown: { type: "boolean", description: "Print the table as Markdown." },
  quick: { type: "boolean", description: "Only show that it runs: tiny sizes, figures without meaning." },
  pairs: { type: "string", valueHint: "number", description: "How many pairs to measure. (Default: 5)" },
  seconds: { type: "string", valueHint: "number", description: "How long a sample takes. (Default: 3)" },
  sessions: {
    type: "string",
    valueHint: "number",
    description: "How many sessions, other than the case says.",
  },
  source: {
    type: "string",
    valueHint: "folder",
    description: "The sources whose server to measure, such as another checkout. (Default: these)",
  },
  "keep-profile": {
    type: "string",
    valueHint: "folder",
    description: "Run the server under a CPU profiler and keep the profile. It makes the server slower.",
  },
} as const satisfies ArgsDef;

type RunArgs = { [name in keyof typeof runArgs]?: string | boolean | undefined };

const list = defineCommand({
  meta: { name: "list", description: "List the cases." },
  args: { json: { type: "boolean", description: "Print them as JSON." } },
  run({ args }) {
    const rows = cases.map(({ name, work }) => ({ name, work }));
    print(
      args.json
        ? JSON.stringify(rows)
        : rows.map(({ name, work }) => `${name.padEnd(14)} ${work}`).join("\n"),
    );
  },
});

const run = defineCommand({
  meta: { name: "run", description: "Run cases by name." },
  args: { names: { type: "positional", required: true, description: "Names of cases." }, ...runArgs },
  run: ({ args }) => runAll(args._.map(findCase), args),
});

const all = defineCommand({
  meta: { name: "all", description: "Run every case." },
  args: runArgs,
  run: ({ args }) => runAll(cases, args),
});

const plots = defineCommand({
  meta: { name: "plots", description: "Measure what is drawn in bench/plots and draw it anew." },
  args: {
    quick: runArgs.quick,
    pairs: runArgs.pairs,
    seconds: runArgs.seconds,
    source: runArgs.source,
    folder: {
      type: "string",
      valueHint: "folder",
      description: "Where to put them. (Default: bench/plots)",
    },
  },
  async run({ args }) {
    pinLoad();
    const files = await makePlots(contextOf(args), args.folder ?? join(root, "bench/plots"));
    print(files.join("\n"));
  },
});

const profile = defineCommand({
  meta: { name: "profile", description: "Show which functions a CPU profile saw most." },
  args: {
    file: { type: "positional", required: true, description: "A profile kept by --keep-profile." },
    top: { type: "string", valueHint: "number", default: "40", description: "How many functions." },
  },
  run: ({ args }) => print(summarise(args.file, Number(args.top))),
});

// biome-ignore lint/suspicious/noExplicitAny: commands differ in their arguments
const commands: Record<string, CommandDef<any>> = { list, run, all, peers: peersCommand, plots, profile };

async function runAll(chosen: readonly Case[], args: RunArgs): Promise<void> {
  const context = contextOf(args);
  pinLoad();
  const about = circumstances(context);
  const rows: Row[] = [];
  for (const { name, run } of chosen) {
    context.progress(`${name} …`);
    const startMs = performance.now();
    const measured = await run(context);
    rows.push(...measured.map((row) => ({ ...row, ...about })));
    context.progress(`${table(measured)}\n(${((performance.now() - startMs) / 1000).toFixed(0)} s)`);
  }
  print(args.json ? JSON.stringify(rows) : args.markdown ? markdown(rows) : table(rows));
}

function contextOf({
  quick,
  pairs,
  seconds,
  sessions,
  source,
  "keep-profile": profileDir,
}: RunArgs): Context {
  return {
    quick: quick === true,
    pairs: numberOf("pairs", pairs) ?? (quick ? 1 : 5),
    seconds: numberOf("seconds", seconds) ?? (quick ? 0.2 : 3),
    sessions: numberOf("sessions", sessions),
    source: source === undefined ? root : String(source),
    profileDir: profileDir === undefined ? undefined : String(profileDir),
    progress: (text) => process.stderr.write(`${text}\n`),
  };
}

function numberOf(name: string, given: string | boolean | undefined): number | undefined {
  if (given === undefined) return undefined;
  const value = Number(given);
  if (value > 0) return value;
  return failUsage(`--${name} ${given} is no number above 0`, "leave it out for the default");
}

/** What every row says of where it comes from. */
function circumstances({ source }: Context): Partial<Row> {
  const [cpu] = cpus();
  return {
    node: process.version,
    commit: commitOf(source),
    machine: `${cpus().length} × ${cpu?.model ?? "unknown"}`,
    date: new Date().toISOString().slice(0, 10),
  };
}

function commitOf(source: string): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], {
      cwd: source,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    // Sources need not be a repository.
    return "unknown";
  }
}

function findCase(name: string): Case {
  return (
    cases.find((each) => each.name === name) ??
    failUsage(`${name} is no case`, "`npm run bench -- list` lists all")
  );
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

const usage = `Usage: npm run bench -- COMMAND [OPTIONS]

  list            list the cases
  run NAME...     run some
  all             run all
  peers           measure other servers in the same jobs
  plots           measure and draw bench/plots
  profile FILE    show which functions a CPU profile saw most

Options: --json, --markdown, --quick, --pairs N, --seconds N, --sessions N, --source DIR, --keep-profile DIR.
\`npm run bench -- COMMAND --help\` tells more.`;

async function main([name, ...rawArgs]: string[]): Promise<void> {
  if (name === undefined || name === "--help" || name === "-h") return print(usage);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) failUsage(`${name} is no command`, "`npm run bench -- --help` lists all");
  if (rawArgs.includes("--help")) return print(await renderUsage(command));
  checkArguments(name, rawArgs, (command.args ?? {}) as ArgsDef);
  await runCommand(command, { rawArgs });
}

// Servers that were started end when this process exits.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

try {
  await main(process.argv.slice(2));
  process.exit();
} catch (error) {
  process.exit(report(error));
}
