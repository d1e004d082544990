#!/usr/bin/env node
/** The command `parlance`. */

import { stripVTControlCharacters } from "node:util";
import { type CommandDef, renderUsage, runCommand } from "citty";
import { checkArguments } from "./cli/arguments.ts";
import { failUsage, report } from "./cli/errors.ts";
import { mindOutputs } from "./cli/outputs.ts";
import { version } from "./version.ts";

/** A command, loaded only when it is called. */
interface Entry {
  description: string;
  // biome-ignore lint/suspicious/noExplicitAny: commands differ in their arguments
  load: () => Promise<CommandDef<any>>;
}

const commands: Record<string, Entry> = {
  serve: {
    description: "Run the chat service.",
    load: async () => (await import("./cli/serve.ts")).serveCommand,
  },
  health: {
    description: "Ask whether a server takes calls; exits with 0 if so.",
    load: async () => (await import("./cli/health.ts")).healthCommand,
  },
  token: {
    description: "Make a signed token for a user, for development.",
    load: async () => (await import("./cli/token.ts")).tokenCommand,
  },
  send: {
    description: "Send a message to a user or a group.",
    load: async () => (await import("./cli/send.ts")).sendCommand,
  },
  tail: {
    description: "Print what a user receives, as it happens.",
    load: async () => (await import("./cli/tail.ts")).tailCommand,
  },
  chat: {
    description: "Chat in the terminal.",
    load: async () => (await import("./cli/chat.ts")).chatCommand,
  },
  replay: {
    description: "Live recorded days of IRC through the service and check that nothing is lost.",
    load: async () => (await import("./cli/replay/replay.ts")).replayCommand,
  },
  admin: {
    description: "See the nodes of a running service, and drain one.",
    load: async () => (await import("./cli/admin.ts")).adminCommand,
  },
  backup: {
    description: "Copy the data into one file, also while the service runs.",
    load: async () => (await import("./cli/data.ts")).backupCommand,
  },
  restore: {
    description: "Put a backup in the place of the data of a stopped service.",
    load: async () => (await import("./cli/data.ts")).restoreCommand,
  },
  check: {
    description: "Check that the data is sound.",
    load: async () => (await import("./cli/data.ts")).checkCommand,
  },
  "migrate-store": {
    description: "Move the data of a stopped service into a PostgreSQL database.",
    load: async () => (await import("./cli/data.ts")).migrateStoreCommand,
  },
};

/** The text of `parlance --help`. */
const root: CommandDef = {
  meta: { name: "parlance", version, description: "A durable chat backend over gRPC" },
  subCommands: Object.fromEntries(
    Object.entries(commands).map(([name, { description }]) => [name, { meta: { name, description } }]),
  ),
};

async function main([name, ...rawArgs]: string[]): Promise<void> {
  if (name === undefined || name === "--help" || name === "-h") return show(await renderUsage(root));
  if (name === "--version" || name === "-v") return show(version);
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!entry)
    failUsage(`${name} is no command of parlance`, `the commands are ${Object.keys(commands).join(", ")}`);
  await run(name, await entry.load(), root, rawArgs);
}

/** Runs a command, or the one of its own commands that the arguments name. */
async function run(name: string, command: CommandDef, parent: CommandDef, rawArgs: string[]): Promise<void> {
  const [word = "", ...rest] = rawArgs;
  const below = (await resolved(command.subCommands)) ?? {};
  const next = Object.hasOwn(below, word) ? await resolved(below[word]) : undefined;
  if (next !== undefined)
    return run(`${name} ${word}`, next, { ...command, meta: { name: `parlance ${name}` } }, rest);
  if (rawArgs.includes("--help") || rawArgs.includes("-h")) return show(await renderUsage(command, parent));
  if (Object.keys(below).length > 0) {
    const wayOut = `the commands are ${Object.keys(below).join(", ")}`;
    failUsage(word === "" ? `${name} does nothing by itself` : `${word} is no command of ${name}`, wayOut);
  }
  checkArguments(name, rawArgs, (await resolved(command.args)) ?? {});
  await runCommand(command, { rawArgs });
}

function show(text: string): void {
  const lines = process.stdout.isTTY ? text : stripVTControlCharacters(text);
  process.stdout.write(`${lines.replace(/ +$/gm, "")}\n`);
}

/** citty lets parts of a command be given by a function. */
function resolved<T>(part: T | Promise<T> | (() => T | Promise<T>) | undefined): T | Promise<T> | undefined {
  return typeof part === "function" ? (part as () => T | Promise<T>)() : part;
}

mindOutputs();
try {
  await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = report(error);
}
