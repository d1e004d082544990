/** The command `npm run fuzz`: sends a server what nobody would write down, for as long as it is told. */

import { randomInt } from "node:crypto";
import { defineCommand, renderUsage, runCommand } from "citty";
import { checkArguments } from "../../src/cli/arguments.ts";
import { failUsage, report } from "../../src/cli/errors.ts";
import { fuzz } from "./fuzz.ts";

const args = {
  seconds: { type: "string", valueHint: "number", description: "For how long. (Default: 60)" },
  seed: {
    type: "string",
    valueHint: "number",
    description: "The seed of every random choice. (Default: drawn)",
  },
  json: { type: "boolean", description: "Print the findings as JSON on the standard output." },
} as const;

const command = defineCommand({
  meta: {
    name: "npm run fuzz --",
    description:
      "Send a server raw bytes on both ports, directly and through nginx, and see whether it bears them.",
  },
  args,
  async run({ args }) {
    const seconds = numberOf("seconds", args.seconds, 60);
    const seed = numberOf("seed", args.seed, randomInt(2 ** 31));
    process.stderr.write(`seed ${seed} (repeat with --seed ${seed})\n`);
    const findings = await fuzz(seconds, seed, (what, input) =>
      process.stderr.write(`${what}\n  from ${JSON.stringify(input).slice(0, 2_000)}\n`),
    );
    const { cases, ...bad } = findings;
    const total = Object.values(bad).reduce((sum, count) => sum + count, 0);
    if (args.json) process.stdout.write(`${JSON.stringify(findings)}\n`);
    else process.stdout.write(`${cases} cases: ${total === 0 ? "nothing was found" : JSON.stringify(bad)}\n`);
    if (total > 0) process.exitCode = 1;
  },
});

function numberOf(name: string, value: string | undefined, byDefault: number): number {
  if (value === undefined) return byDefault;
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 0)
    failUsage(`--${name} must be a whole number, not ${value}`, "--help tells more");
  return number;
}

try {
  const rawArgs = process.argv.slice(2);
  if (rawArgs.includes("--help")) process.stdout.write(`${await renderUsage(command)}\n`);
  else {
    checkArguments("fuzz", rawArgs, args);
    await runCommand(command, { rawArgs });
  }
} catch (error) {
  process.exitCode = report(error);
}
