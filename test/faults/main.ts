/** The command `npm run faults`: disturbs a running service in every way we know, and checks what it promises. */

import { type ArgsDef, type CommandDef, defineCommand, renderUsage, runCommand } from "citty";
import { checkArguments } from "../../src/cli/arguments.ts";
import { failUsage, report } from "../../src/cli/errors.ts";
import { abuseFaults, faults, findFault } from "./catalogue.ts";
import { clusterFaults } from "./cluster/catalogue.ts";
import type { Mode } from "./context.ts";
import type { Fault, Row } from "./fault.ts";
import { type Bug, bugs } from "./planted/bugs.ts";
import { plantBugs } from "./planted/plant-bugs.ts";
import type { PlantedRow } from "./planted/planted.ts";
import { thirdOf, turnOfCommit } from "./planted/thirds.ts";
import { changedFiles } from "./report/history.ts";
import { makeReport } from "./report/make-report.ts";
import { readResults } from "./report/results.ts";
import { isSection, sectionNames, subjects } from "./report/sections.ts";
import { writeTables } from "./report/tables.ts";
import { runFault, runFaultApart } from "./runner.ts";
import { soakFault } from "./soak.ts";
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
  },
  run: async ({ args }) =>
    void (await runAll(
      args.ci ? clusterFaults.filter((fault) => fault.ci) : clusterFaults,
      args.ci ? "ci" : "full",
      args,
    )),
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
  meta: { name: "full", description: "Run every fault at full size. Takes about an hour." },
  args: runArgs,
  run: async ({ args }) => void (await runAll([...faults, ...clusterFaults], "full", args)),
});

const planted = defineCommand({
  meta: {
    name: "planted",
    description: "Plant known bugs, one at a time, and show which check catches each.",
  },
  args: {
    names: { type: "positional", required: false, description: "Bugs by name. (Default: all)" },
    third: {
      type: "string",
      valueHint: "number",
      description:
        "Plant every third bug, and leave out to show that faults hold which `ci` has shown to. (Default number: the turn of the commit)",
    },
    ...runArgs,
  },
  async run({ args }) {
    const seed = seedOf(args);
    const { third } = args;
    if (third !== undefined && args._.length > 0)
      failUsage("--third chooses the bugs itself", "give no names with it");
    const named = args._.length === 0 ? bugs : args._.map((name) => findBug(name));
    const rows = await (third === undefined ? plantBugs(named, { seed }) : plantThird(third, seed));
    if (args.json) print(JSON.stringify(rows));
    // One whose faults cannot run here says why, as the faults themselves do.
    const missed = rows.filter(({ caught_by, skipped }) => caught_by === null && !skipped);
    if (missed.length > 0) process.exitCode = 1;
  },
});

const minutesArg = {
  type: "string",
  valueHint: "number",
  default: "120",
  description: "How long the soak lasts.",
} as const;

const soakCommand = defineCommand({
  meta: {
    name: "soak",
    description: "Disturb a storm at random for a long time; memory and handles over time.",
  },
  args: {
    minutes: minutesArg,
    ...runArgs,
  },
  async run({ args }) {
    const row = await runFault(soakFault(minutesOf(args.minutes)), {
      mode: "full",
      seed: seedOf(args),
      keep: args.keep ?? false,
    });
    process.stderr.write(`${tableLine(row)}\n`);
    if (args.json) print(JSON.stringify([row]));
    process.exit(row.violations > 0 ? 1 : 0);
  },
});

const reportCommand = defineCommand({
  meta: {
    name: "report",
    description:
      "Run full, planted, cluster, abuse and soak, and write docs/reliability.json and the tables of docs/reliability.md from it, row by row. Takes hours; parts may be made one at a time.",
  },
  args: {
    names: { type: "positional", required: false, description: "Faults and bugs by name. (Default: all)" },
    only: { type: "string", valueHint: "full,cluster", description: "Some of them. (Default: all)" },
    tables: { type: "boolean", description: "Run nothing: write the tables of what was reported." },
    seed: runArgs.seed,
    minutes: minutesArg,
  },
  async run({ args }) {
    if (args.tables) return writeTables(readResults());
    const sections = (args.only?.split(",") ?? sectionNames).map((name) =>
      isSection(name)
        ? name
        : failUsage(`${name} is no part of the report`, `there are ${sectionNames.join(", ")}`),
    );
    const reported = sections.flatMap((section) => subjects[section].map(({ name }) => name));
    const names = args._.length === 0 ? undefined : args._;
    for (const name of names ?? [])
      if (!reported.includes(name)) failUsage(`${name} has no row there`, "names are those of the tables");
    const changed = changedFiles();
    if (changed.length > 0)
      failUsage(`${changed[0]?.trim()} is in no commit that a report could name`, "commit it first");
    const options = { sections, names, seed: seedOf(args), soakMinutes: minutesOf(args.minutes) };
    const broken = await makeReport(options);
    process.exit(broken > 0 ? 1 : 0);
  },
});

/** Not for people: what `runFaultApart` starts. */
const one = defineCommand({
  args: {
    name: { type: "positional", required: true },
    mode: { type: "string", required: true },
    "settle-ms": { type: "string" },
    ...runArgs,
  },
  async run({ args }) {
    const fault = findFault(args.name) ?? unknownFault(args.name);
    const row = await runFault(fault, {
      mode: args.mode as Mode,
      seed: Number(args.seed),
      keep: args.keep ?? false,
      settleMs: args["settle-ms"] === undefined ? undefined : Number(args["settle-ms"]),
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
  report: reportCommand,
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

/** Plants a third of the bugs: what takes its turn with this commit, if no number is given. */
function plantThird(given: string, seed: number): Promise<PlantedRow[]> {
  const turn = given === turnUnsaid ? (turnOfCommit() ?? seed) : Number(given);
  if (!Number.isSafeInteger(turn) || turn < 0)
    failUsage(`--third ${given} is no whole number`, "leave the number out, or give one such as 0, 1 or 2");
  process.stderr.write(`third ${turn % 3} of 0, 1, 2\n`);
  const isKnownToHold = (fault: string) => findFault(fault)?.ci === true;
  return plantBugs(thirdOf(bugs, turn), { seed, isKnownToHold });
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

function minutesOf(given: string): number {
  const minutes = Number(given);
  if (minutes > 0) return minutes;
  return failUsage(`--minutes ${given} is no time`, "give a number above 0, such as 0.5");
}

function unknownFault(name: string): never {
  return failUsage(`${name} is no fault`, "`npm run faults -- list` lists all");
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** What `--third` without a number stands for: options of citty that have values need one. */
const turnUnsaid = "of-the-commit";

const usage = `Usage: npm run faults -- COMMAND [OPTIONS]

  list            list the faults
  run NAME...     run some, at full size
  ci              run the small subset that runs after the tests
  cluster         run those of several nodes, on PostgreSQL and NATS
  abuse           run the attacks of one user or one address
  full            run every fault, at full size
  planted         plant known bugs and show which check catches each; --third plants every third
  soak            churn and random faults for --minutes N
  report          run full, planted, cluster, abuse and soak, and write docs/reliability.md; --only for some

Options: --seed N, --json, --keep. \`npm run faults -- COMMAND --help\` tells more.`;

async function main([name, ...given]: string[]): Promise<void> {
  const rawArgs = given.map((arg, n) =>
    arg === "--third" && !/^\d/.test(given[n + 1] ?? "") ? `--third=${turnUnsaid}` : arg,
  );
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
