import { randomBytes } from "node:crypto";
import pg from "pg";
import { failPoint } from "../../../fail-points.ts";
import { newEpoch } from "../../new-epoch.ts";
import { clientConfig } from "../connection/connections.ts";
import { currentTimeline } from "../connection/identity.ts";
import { StoreOpenError } from "../connection/open-error.ts";
import { logRelease } from "../connection/release.ts";
import { functionsStep6 } from "./change-function.ts";
import { functionsStep1, functionsStep2, functionsStep4 } from "./functions.ts";
import { schemaStep1, schemaStep3, schemaStep4, schemaStep5, schemaStep6 } from "./schema.ts";

/**
 * One step of the schema. Steps are never edited once released, only added, and
 * only add to what is there: during an update the release before works with the
 * new schema too. What an old release cannot work with comes in a later step,
 * whose `lowestStep` says so.
 */
interface Migration {
  step: number;
  /** The lowest last step that a release must know to work with the schema after this one. */
  lowestStep: number;
  /** The release that brings the step. */
  release: string;
  sql: string;
}

const migrations: readonly Migration[] = [
  { step: 1, lowestStep: 1, release: "0.1.0", sql: schemaStep1 + functionsStep1 },
  { step: 2, lowestStep: 1, release: "0.1.0", sql: functionsStep2 },
  { step: 3, lowestStep: 1, release: "0.1.0", sql: schemaStep3 },
  { step: 4, lowestStep: 1, release: "0.1.0", sql: schemaStep4 + functionsStep4 },
  { step: 5, lowestStep: 1, release: "0.1.0", sql: schemaStep5 },
  { step: 6, lowestStep: 1, release: "0.1.0", sql: schemaStep6 + functionsStep6 },
];

/** The last step of the schema that this code knows. */
export const lastStep = migrations.at(-1)?.step ?? 0;

/** The oldest server, as `server_version_num` tells it. */
const minServerVersion = 130_000;
const migrationTimeoutMs = 60_000;
/** Names that need no care in SQL. */
const schemaPattern = /^(?!pg_)[a-z_][a-z0-9_]{0,62}$/;

/** The identity for a store that is made as a copy of another. */
export interface GivenIdentity {
  epoch: string;
  salt: number;
}

/**
 * Brings the schema up to this code, one transaction per step, and gives a new
 * store its identity. Of several that try at once one does it and the others
 * wait.
 *
 * @throws StoreOpenError in one line for people
 */
export async function migrate(url: string, schema: string, given?: GivenIdentity): Promise<void> {
  if (!schemaPattern.test(schema))
    throw new StoreOpenError(`"${schema}" cannot be the name of a schema`, false);
  const client = makeClient(url);
  // Its end is told by the statement that meets it.
  client.on("error", () => {});
  const place = `${client.host}:${client.port}/${client.database}`;
  try {
    await client.connect();
    await checkServer(client);
    await client.query("SELECT set_config('lock_timeout', $1, false)", [String(migrationTimeoutMs)]);
    await client.query("SELECT pg_advisory_lock(hashtextextended($1, 0))", [`parlance ${schema}`]);
    await applySteps(client, schema, given ?? { epoch: newEpoch(), salt: randomBytes(4).readUInt32LE() });
    await refuseLaterRelease(client, schema);
    if (given === undefined) await refuseUnfinished(client, schema);
  } catch (error) {
    throw explain(error, client, place);
  } finally {
    // The lock ends with the connection.
    await client.end().catch(() => {});
  }
}

function makeClient(url: string): pg.Client {
  try {
    return new pg.Client(clientConfig(url, "parlance migrations"));
  } catch {
    // biome-ignore lint/style/useErrorCause: its message may repeat the URL, which holds the password
    throw new StoreOpenError("databaseUrl is not a URL such as postgresql://user@host/database", false);
  }
}

async function checkServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query(`
    SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS name,
      pg_is_in_recovery() AS standby, current_setting('server_encoding') AS encoding
  `);
  const [{ version, name, standby, encoding }] = rows as [Record<string, unknown>];
  if (Number(version) < minServerVersion) {
    throw new StoreOpenError(`the server is PostgreSQL ${name}; version 13 or later is needed`, false);
  }
  if (standby === true) throw new StoreOpenError("the server is a standby, which cannot write", true);
  if (encoding !== "UTF8") {
    throw new StoreOpenError(`the database's encoding is ${encoding}; it has to be UTF8`, false);
  }
}

async function applySteps(client: pg.Client, schema: string, identity: GivenIdentity): Promise<void> {
  const { rows } = await client.query(
    `SELECT to_regnamespace($1) IS NOT NULL AS "hasSchema", to_regclass($1 || '.schema_steps') IS NOT NULL AS "hasSteps",
       EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace($1)) AS "hasOthers"`,
    [`"${schema}"`],
  );
  const [{ hasSchema, hasSteps, hasOthers }] = rows as [Record<string, boolean>];
  if (!hasSteps) {
    if (hasOthers) throw new StoreOpenError(`the schema "${schema}" belongs to another application`, false);
    if (!hasSchema) await client.query(`CREATE SCHEMA "${schema}"`);
  }
  await client.query("SELECT set_config('search_path', $1, false)", [`"${schema}"`]);
  const applied = hasSteps ? await readSteps(client) : [];
  const last = applied.at(-1);
  if (last !== undefined && last.lowestStep > lastStep) {
    throw new StoreOpenError(
      `the schema "${schema}" is at step ${last.step} and needs Parlance ${last.release} or later; this one knows steps up to ${lastStep}`,
      false,
    );
  }
  for (const { step, lowestStep, release, sql } of migrations) {
    if (step <= (last?.step ?? 0)) continue;
    await client.query("BEGIN");
    if (step === 1) await client.query(stepsTable);
    await client.query(sql);
    if (step === 1) {
      await client.query(`INSERT INTO log_head (epoch, salt, timeline) VALUES ($1, $2, ${currentTimeline})`, [
        identity.epoch,
        identity.salt,
      ]);
    }
    await client.query("INSERT INTO schema_steps (step, lowest_step, release) VALUES ($1, $2, $3)", [
      step,
      lowestStep,
      release,
    ]);
    failPoint("migration.before-commit");
    await client.query("COMMIT");
    failPoint("migration.after-commit");
  }
}

/** A store with events that this release does not know what to do with is not opened. */
async function refuseLaterRelease(client: pg.Client, schema: string): Promise<void> {
  const { rows } = await client.query('SELECT min_release > $1 AS "isLater" FROM log_head', [logRelease]);
  if (rows[0]?.isLater === true)
    throw new StoreOpenError(
      `a later release of Parlance writes to the schema "${schema}"; start that release`,
      false,
    );
}

/** A store that is being moved here is not opened before everything has arrived. */
async function refuseUnfinished(client: pg.Client, schema: string): Promise<void> {
  const { rows } = await client.query("SELECT to_regclass('transfer') IS NOT NULL AS \"isUnderWay\"");
  if (rows[0]?.isUnderWay === true) {
    throw new StoreOpenError(
      `the schema "${schema}" holds an unfinished transfer; go on with it with \`parlance migrate-store\``,
      false,
    );
  }
}

/** The steps that were applied. Releases that know fewer steps read it too, so it never changes. */
const stepsTable = `
  CREATE TABLE schema_steps (
    step int PRIMARY KEY,
    lowest_step int NOT NULL,
    release text NOT NULL,
    apply_time timestamptz NOT NULL DEFAULT now()
  )
`;

async function readSteps(
  client: pg.Client,
): Promise<Array<{ step: number; lowestStep: number; release: string }>> {
  const { rows } = await client.query(
    'SELECT step, lowest_step AS "lowestStep", release FROM schema_steps ORDER BY step',
  );
  return rows;
}

/** Turns what the server says into one line for people. */
function explain(error: unknown, client: pg.Client, place: string): Error {
  if (error instanceof StoreOpenError)
    return new StoreOpenError(`the database ${place}: ${error.message}`, error.notReachable, {
      cause: error,
    });
  const say = (message: string, notReachable: boolean) =>
    new StoreOpenError(message, notReachable, { cause: error });
  const { code, message } = error as { code?: string; message: string };
  if (!(error instanceof pg.DatabaseError)) {
    return say(`the database ${place} cannot be reached: ${code ?? message}`, true);
  }
  switch (code) {
    case "28P01":
    case "28000":
      return say(`the database ${place} does not let the user "${client.user}" in: ${message}`, false);
    case "3D000":
      return say(
        `there is no database "${client.database}" at ${client.host}:${client.port}; create it first`,
        false,
      );
    case "42501":
      return say(
        `the user "${client.user}" may not set up the database ${place}: ${message}; grant it CREATE on the database`,
        false,
      );
    case "57P03":
    case "53300":
      return say(`the database ${place} takes no connections now: ${message}`, true);
    default:
      return say(`the database ${place} cannot be opened: ${message}`, /^(08|53|57|58)/.test(code ?? ""));
  }
}
