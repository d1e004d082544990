/** The command `npm run faults`: disturbs a running service in every way we know, and checks what it promises. */

import { type ArgsDef, type CommandDef, defineCommand, renderUsage, runCommand } from "citty";
import { checkArguments } from "../../src/cli/arguments.ts";
import { failUsage, report } from "../../src/cli/errors.ts";
import { abuseFaults, faults, findFault } from "./catalogue.ts";
import { clusterFaults } from "./cluster/catalogue.ts";
import type { Mode } from "./context.ts";
import type { Fault, Row } from "./fault.ts";
import { type Bug, bugs, notYet } from "./planted/bugs.ts";
import { type PlantedRow, TestBuild } from "./planted/planted.ts";
import { writeClusterReport, writeReport } from "./report.ts";
import { runFault, runFaultApart } from "./runner.ts";
import { soak } from "./soak.ts";
import { tableLine } from "./table.ts";

const runArgs = {
  seed: {
    type: "string",
    valueHint: "number",
    description: "The seed of every random choice. (Default: drawn)",
  },
  json: { type: "boolean", description: "Print an array of rows as JSON on the standard output." },
  keep: {
    type: "boolean",
    description: "Keep the histories of runs that broke a rule, in faults-histories/.",
  },
} as const satisfies ArgsDef;

type RunArgs = { seed?: string | undefined; json?: boolean | undefined; keep?: boolean | undefined };

const list = defineCommand({
  meta: {
    name: "list",
    description: "List the faults. Those marked ● belong to `ci`, those marked ⧉ to `cluster`.",
  },
  args: { json: { type: "boolean", description: "Print them as JSON." } },
  run({ args }) {
    const rows = [...faults, ...clusterFaults].map((fault) => {
      const { id, name, title, figureTitle, ci, missing } = fault;
      const reason = missing?.();
      const cluster = clusterFaults.includes(fault);
      return { id, name, title, figure: figureTitle, ci, cluster, ...(reason && { missing: reason }) };
    });
    const lines = rows.map(
      ({ id, name, title, ci, cluster, missing }) =>
        `${ci ? "●" : " "}${cluster ? "⧉" : " "} ${id.padEnd(5)} ${name.padEnd(24)} ${title}${missing ? ` (not here: ${missing})` : ""}`,
    );
    print(args.json ? JSON.stringify(rows) : lines.join("\n"));
  },
});

const run = defineCommand({
  meta: { name: "run", description: "Run faults by name, at the size of `full`." },
  args: {
    names: { type: "positional", required: true, description: "Names or numbers of faults." },
    ...runArgs,
  },
  async run({ args }) {
    const chosen = args._.map((name) => findFault(name) ?? unknownFault(name));
    await runAll(chosen, "full", args);
  },
});

const ci = defineCommand({
  meta: { name: "ci", description: "Run the small subset that runs after the tests, in under 10 minutes." },
  args: runArgs,
  run: async ({ args }) =>
    void (await runAll(
      [...faults, ...clusterFaults].filter((fault) => fault.ci),
      "ci",
      args,
    )),
});

const cluster = defineCommand({
  meta: {
    name: "cluster",
    description: "Run the faults of several nodes on PostgreSQL and NATS. Takes about a quarter of an hour.",
  },
  args: {
    ...runArgs,
    ci: { type: "boolean", description: "The small subset alone, as after the tests." },
    report: { type: "boolean", description: "Write the table of several nodes in docs/reliability.md." },
  },
  async run({ args }) {
    const chosen = args.ci ? clusterFaults.filter((fault) => fault.ci) : clusterFaults;
    const rows = await runAll(chosen, args.ci ? "ci" : "full", args);
    if (args.report) writeClusterReport(rows);
  },
});

const abuse = defineCommand({
  meta: {
    name: "abuse",
    description: "Run the attacks of one user or one address on everyone else's service.",
  },
  args: {
    ...runArgs,
    ci: { type: "boolean", description: "The short form, as after the tests." },
  },
  run: async ({ args }) => void (await runAll(abuseFaults, args.ci ? "ci" : "full", args)),
});

const full = defineCommand({
  meta: { name: "full", description: "Run everything and write docs/reliability.md. Takes about an hour." },
  args: runArgs,
  async run({ args }) {
    const rows = await runAll([...faults, ...clusterFaults], "full", args);
    writeReport(rows.slice(0, faults.length));
    writeClusterReport(rows.slice(faults.length));
  },
});

const planted = defineCommand({
  meta: {
    name: "planted",
    description: "Plant known bugs, one at a time, and show which check catches each.",
  },
  args: {
    names: { type: "positional", required: false, description: "Bugs by name. (Default: all)" },
    ...runArgs,
  },
  async run({ args }) {
    const chosen = args._.length === 0 ? bugs : args._.map((name) => findBug(name));
    const rows = await plantAll(chosen, seedOf(args));
    if (args.json) print(JSON.stringify(rows));
    const missed = rows.filter(
      ({ caught_by, skipped }) => caught_by === null && !(skipped && !process.env["CI"]),
    );
    if (missed.length > 0) process.exitCode = 1;
  },
});

const soakCommand = defineCommand({
  meta: {
    name: "soak",
    description: "Disturb a storm at random for a long time; memory and handles over time.",
  },
  args: {
    minutes: { type: "string", valueHint: "number", default: "120", description: "How long." },
    ...runArgs,
  },
  async run({ args }) {
    const minutes = Number(args.minutes);
    if (!(minutes > 0))
      failUsage(`--minutes ${args.minutes} is no time`, "give a number above 0, such as 0.5");
    const row = await runFault(
      {
        id: "soak",
        name: "soak",
        title: "churn and disturbances at random",
        figureTitle: "heap slope, handles",
        ci: false,
        run: (context) => soak(context, minutes),
      },
      { mode: "full", seed: seedOf(args), keep: args.keep ?? false },
    );
    process.stderr.write(`${tableLine(row)}\n`);
    if (args.json) print(JSON.stringify([row]));
    process.exit(row.violations > 0 ? 1 : 0);
  },
});

/** Not for people: what `runFaultApart` starts. */
const one = defineCommand({
  args: {
    name: { type: "positional", required: true },
    mode: { type: "string", required: true },
    ...runArgs,
  },
  async run({ args }) {
    const fault = findFault(args.name) ?? unknownFault(args.name);
    const row = await runFault(fault, {
      mode: args.mode as Mode,
      seed: Number(args.seed),
      keep: args.keep ?? false,
    });
    process.stdout.write(JSON.stringify(row), () => process.exit());
  },
});

// biome-ignore lint/suspicious/noExplicitAny: commands differ in their arguments
const commands: Record<string, CommandDef<any>> = {
  list,
  run,
  ci,
  cluster,
  abuse,
  full,
  planted,
  soak: soakCommand,
  one,
};

async function runAll(
  chosen: readonly Fault[],
  mode: Mode,
  { seed: given, json, keep = false }: RunArgs,
): Promise<Row[]> {
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  if (!Number.isSafeInteger(seed))
    failUsage(`--seed ${given} is no whole number`, "leave it out to draw one");
  process.stderr.write(`${chosen.length} faults, seed ${seed}\n`);
  const rows: Row[] = [];
  for (const fault of chosen) {
    const row = await runFaultApart(fault, { mode, seed, keep });
    rows.push(row);
    process.stderr.write(`${tableLine(row)}\n`);
  }
  const broken = rows.filter(({ violations }) => violations > 0);
  const skipped = rows.filter((row) => row.skipped !== undefined);
  process.stderr.write(
    `${rows.length - broken.length - skipped.length} held, ${broken.length} broken, ${skipped.length} not run; seed ${seed}\n`,
  );
  if (json) print(JSON.stringify(rows));
  if (broken.length > 0) process.exitCode = 1;
  // Where nothing may be left out unseen, what these need is there.
  const left = skipped.find(({ name }) => clusterFaults.some((fault) => fault.name === name));
  if (process.env["CI"] && left !== undefined) {
    process.stderr.write(`${left.name} has to run here: ${left.skipped}\n`);
    process.exitCode = 1;
  }
  return rows;
}

/** Plants bugs one after another; before that, the same faults have to hold without any. */
async function plantAll(chosen: readonly Bug[], seed: number): Promise<PlantedRow[]> {
  process.stderr.write(`${chosen.length} bugs, seed ${seed}\n`);
  const build = new TestBuild();
  try {
    for (const fault of new Set(chosen.flatMap(({ faults }) => faults))) {
      const row = await build.run(fault, seed);
      process.stderr.write(`${tableLine(row)}\n`);
      if (row.violations > 0) throw new Error(`${fault} does not hold without a bug; mend that first`);
    }
    const rows: PlantedRow[] = [];
    for (const bug of chosen) {
      const row = await build.catch(bug, seed);
      rows.push(row);
      const missed = row.skipped ? "not run" : "NOT CAUGHT";
      const verdict = row.caught_by === null ? missed : `caught by ${row.caught_by}`;
      process.stderr.write(`${String(bug.number).padStart(2)} ${bug.name}: ${verdict} (${row.how})\n`);
    }
    for (const { number, text, why } of notYet) {
      process.stderr.write(`${String(number).padStart(2)} not planted, ${why}: ${text}\n`);
    }
    return rows;
  } finally {
    build.close();
  }
}

function findBug(name: string): Bug {
  const bug = bugs.find((each) => each.name === name || String(each.number) === name);
  return (
    bug ?? failUsage(`${name} is no planted bug`, `there are ${bugs.map((each) => each.name).join(", ")}`)
  );
}

function seedOf({ seed: given }: Pick<RunArgs, "seed">): number {
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  if (Number.isSafeInteger(seed)) return seed;
  return failUsage(`--seed ${given} is no whole number`, "leave it out to draw one");
}

function unknownFault(name: string): never {
  return failUsage(`${name} is no fault`, "`npm run faults -- list` lists all");
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

const usage = `Usage: npm run faults -- COMMAND [OPTIONS]

  list            list the faults
  run NAME...     run some, at full size
  ci              run the small subset that runs after the tests
  cluster         run those of several nodes, on PostgreSQL and NATS
  abuse           run the attacks of one user or one address
  full            run everything and write docs/reliability.md
  planted         plant known bugs and show which check catches each
  soak            churn and random faults for --minutes N

Options: --seed N, --json, --keep. \`npm run faults -- COMMAND --help\` tells more.`;

async function main([name, ...rawArgs]: string[]): Promise<void> {
  if (name === undefined || name === "--help" || name === "-h") return print(usage);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) failUsage(`${name} is no command`, "`npm run faults -- --help` lists all");
  if (rawArgs.includes("--help")) return print(await renderUsage(command));
  checkArguments(name, rawArgs, (command.args ?? {}) as ArgsDef);
  await runCommand(command, { rawArgs });
}

// What a fault changed of the system is put back when the process exits.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = report(error);
}
