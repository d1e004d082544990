/** The commands on a service's data: `parlance backup`, `restore`, `check` and `migrate-store`. */

import { resolve } from "node:path";
import { type ArgsDef, defineCommand } from "citty";
import { type Config, loadSettings } from "../config/config.ts";
import { backup, check, dataFileOf, migrateStore, restore } from "../host/maintenance.ts";
import { CommandError, fail, warnOfVisibleSecrets } from "./errors.ts";
import { createProgress } from "./progress.ts";

const dataArgs = {
  "data-dir": {
    type: "string",
    valueHint: "folder",
    description: "The folder of the data. (Default: as for serve)",
  },
  config: { type: "string", valueHint: "file", description: "A JSON file with settings, as for serve." },
  json: { type: "boolean", description: "Print the result as JSON." },
} as const satisfies ArgsDef;

/** `parlance backup`: copies the data while the service runs. */
export const backupCommand = defineCommand({
  meta: { name: "backup", description: "Copy the data into one file, also while the service runs." },
  args: {
    file: { type: "positional", required: true, description: "The file to write. It must not exist." },
    ...dataArgs,
  },
  run({ args }) {
    const config = configOf(args);
    const summary = explained("make it elsewhere, or say with --data-dir where the data is", () =>
      backup(config, args.file),
    );
    const { conversations, lastPosition } = summary;
    print(
      args.json,
      { file: resolve(args.file), ...summary },
      `${resolve(args.file)} holds ${conversations} conversations with ${lastPosition} events`,
    );
  },
});

/** `parlance restore`: puts a backup in the place of the data. */
export const restoreCommand = defineCommand({
  meta: {
    name: "restore",
    description: "Put a backup in the place of the data of a stopped service. Everybody has to log in again.",
  },
  args: {
    file: { type: "positional", required: true, description: "The backup. It stays as it is." },
    ...dataArgs,
  },
  run({ args }) {
    const config = configOf(args);
    const summary = explained("stop the service first, and name a file that `parlance backup` made", () =>
      restore(config, args.file),
    );
    const { conversations, lastPosition, epoch, previous } = summary;
    const before = previous === undefined ? "" : `\nWhat was there before is now ${resolve(previous)}`;
    print(
      args.json,
      summary,
      `${resolve(dataFileOf(config))} holds ${conversations} conversations with ${lastPosition} events, in the new epoch ${epoch}${before}`,
    );
  },
});

/** `parlance check`: tells whether the data keeps its rules. */
export const checkCommand = defineCommand({
  meta: {
    name: "check",
    description: "Check that the data is sound, also while the service runs. Exit code 1 if not.",
  },
  args: dataArgs,
  run({ args }) {
    const config = configOf(args);
    const results = explained("say with --data-dir where the data is", () => check(config));
    const lines = results.flatMap(({ rule, problems }) => [
      `${problems.length === 0 ? "ok    " : "BROKEN"}  ${rule}`,
      ...problems.map((problem) => `        ${problem}`),
    ]);
    print(args.json, results, lines.join("\n"));
    const broken = results.filter(({ problems }) => problems.length > 0).length;
    if (broken > 0)
      throw new CommandError(`${broken} rules are broken; restore a backup with \`parlance restore\``, 1);
  },
});

/** `parlance migrate-store`: moves the data into PostgreSQL. */
export const migrateStoreCommand = defineCommand({
  meta: {
    name: "migrate-store",
    description:
      "Move the data of a stopped service from its SQLite file into an empty PostgreSQL database. Repeat it to go on after it was cut off.",
  },
  args: {
    ...dataArgs,
    "database-url": {
      type: "string",
      valueHint: "url",
      description: "The PostgreSQL database. Better set PARLANCE_DATABASE_URL, which others do not see.",
    },
    "database-schema": {
      type: "string",
      valueHint: "name",
      description: "The schema in the database. (Default: as for serve)",
    },
  },
  async run({ args }) {
    const options = {
      dataDir: args["data-dir"],
      databaseUrl: args["database-url"],
      databaseSchema: args["database-schema"],
    };
    warnOfVisibleSecrets(options);
    const names = ["dataDir", "databaseUrl", "databaseSchema"] as const;
    const config = loadSettings(names, { options, file: args.config });
    const { epoch, lastPosition, tables } = await migrateStore(config, createProgress(process.stderr)).catch(
      (error: unknown) =>
        fail((error as Error).message, "stop the service first, and name an empty database", error),
    );
    print(
      args.json,
      { epoch, lastPosition, tables },
      `the database holds all ${lastPosition} events, in the epoch ${epoch}; set PARLANCE_DATABASE_URL for \`parlance serve\``,
    );
  },
});

type DataSettings = Pick<Config, "dataDir" | "databaseUrl">;

function configOf(args: { "data-dir"?: string | undefined; config?: string | undefined }): DataSettings {
  const dataDir = args["data-dir"];
  // Who names a folder means that, wherever the service keeps its data.
  if (dataDir !== undefined) return { dataDir, databaseUrl: undefined };
  return loadSettings(["dataDir", "databaseUrl"], { file: args.config });
}

/** Turns what the store says into the one line of a command that failed. */
function explained<T>(wayOut: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    fail((error as Error).message, wayOut, error);
  }
}

function print(json: boolean | undefined, value: unknown, text: string): void {
  process.stdout.write(`${json ? JSON.stringify(value) : text}\n`);
}
