import pg from "pg";
import type { TransferHead, TransferRow, TransferTable, TransferTarget } from "../transfer.ts";
import { transferTables } from "../transfer.ts";
import { bigintArray, byteaArray, textArray } from "./connection/binary-arrays.ts";
import { clientConfig } from "./connection/connections.ts";
import { migrate } from "./schema/migrations.ts";

/**
 * Opens a database to move a store into it. Until all has arrived no server
 * opens it.
 *
 * @throws StoreOpenError when the database cannot be reached or used
 * @throws Error when it has other data
 */
export async function openTransferTarget(
  url: string,
  schema: string,
  head: TransferHead,
): Promise<TransferTarget> {
  await migrate(url, schema, head);
  const client = new pg.Client(clientConfig(url, "parlance transfer"));
  client.on("error", () => {});
  await client.connect();
  try {
    // What is lost in a crash is copied again; the last commit makes sure of all others.
    await client.query(
      "SELECT set_config('search_path', $1, false), set_config('synchronous_commit', 'off', false)",
      [`"${schema}"`],
    );
    const { rows } = await client.query("SELECT pg_try_advisory_lock(hashtextextended($1, 1)) AS free", [
      `parlance ${schema}`,
    ]);
    if (rows[0]?.free !== true) throw new Error("another transfer into this database is under way");
    await begin(client, schema, head);
  } catch (error) {
    await client.end();
    throw error;
  }

  return {
    async rows(table, after, limit) {
      const { text, values } = pageQuery(table, after, limit);
      const { rows } = await client.query({ text, values, rowMode: "array" });
      return rows as unknown as TransferRow[];
    },

    async lastKey({ name, columns, keyLength }) {
      const key = columns.slice(0, keyLength).map(([column]) => column);
      const order = key.map((column) => `${column} DESC`).join(", ");
      const text = `SELECT ${key.join(", ")} FROM ${name} ORDER BY ${order} LIMIT 1`;
      return (await client.query({ text, rowMode: "array" })).rows[0] as TransferRow | undefined;
    },

    async insert(table, rows) {
      await client.query(insertSql(table), columnArrays(table, rows));
    },

    async finish() {
      const { lastPosition, lastTimeMs, lastLogoutId } = head;
      await client.query("ANALYZE");
      await client.query("BEGIN");
      await client.query("SET LOCAL synchronous_commit = on");
      await client.query("UPDATE log_head SET last_position = $1, last_time_ms = $2, last_logout_id = $3", [
        lastPosition,
        lastTimeMs,
        lastLogoutId,
      ]);
      await client.query(`
        SELECT setval(pg_get_serial_sequence('conversations', 'key'), max(key)) FROM conversations HAVING count(*) > 0
      `);
      await client.query("DROP TABLE transfer");
      await client.query("COMMIT");
    },

    close: () => client.end(),
  };
}

/** Goes on with a transfer of the same store, or begins one if there is nothing yet. */
async function begin(client: pg.Client, schema: string, { epoch, salt }: TransferHead): Promise<void> {
  const { rows: found } = await client.query(
    "SELECT epoch, salt, to_regclass('transfer') IS NOT NULL AS \"isUnderWay\" FROM log_head",
  );
  const isSame = found[0]?.epoch === epoch && found[0]?.salt === salt;
  if (found[0]?.isUnderWay === true) {
    if (isSame) return;
    throw new Error(
      `the schema "${schema}" holds an unfinished transfer of another store; drop the schema first`,
    );
  }
  for (const { name } of transferTables) {
    const { rows } = await client.query(`SELECT FROM ${name} LIMIT 1`);
    if (rows.length > 0) throw new Error(`the schema "${schema}" has data already, in ${name}`);
  }
  await client.query("BEGIN");
  await client.query("SET LOCAL synchronous_commit = on");
  await client.query("CREATE TABLE transfer ()");
  await client.query("UPDATE log_head SET epoch = $1, salt = $2", [epoch, salt]);
  await client.query("COMMIT");
}

/** Flags are numbers on the way. */
const flags = new Set(["history_for_new_members", "muted"]);

function pageQuery(
  { name, columns, keyLength }: TransferTable,
  after: TransferRow | undefined,
  limit: number,
) {
  const selected = columns.map(([column]) => (flags.has(column) ? `${column}::int` : column));
  const key = columns.slice(0, keyLength).map(([column]) => column);
  const values = after === undefined ? [limit] : [limit, ...after];
  const condition =
    after === undefined ? "" : `WHERE (${key.join(", ")}) > (${key.map((_, n) => `$${n + 2}`).join(", ")})`;
  const text = `SELECT ${selected.join(", ")} FROM ${name} ${condition} ORDER BY ${key.join(", ")} LIMIT $1`;
  return { text, values };
}

const arrayTypes = { text: "text[]", bytes: "bytea[]", number: "bigint[]" };

function insertSql({ name, columns }: TransferTable): string {
  const names = columns.map(([column]) => column);
  const arrays = columns.map(([, type], n) => `$${n + 1}::${arrayTypes[type]}`);
  const selected = names.map((column) => (flags.has(column) ? `${column} <> 0` : column));
  return `
    INSERT INTO ${name} (${names.join(", ")}) OVERRIDING SYSTEM VALUE
    SELECT ${selected.join(", ")} FROM unnest(${arrays.join(", ")}) AS r (${names.join(", ")})
  `;
}

function columnArrays({ columns }: TransferTable, rows: readonly TransferRow[]): Buffer[] {
  return columns.map(([, type], n) => {
    const values = rows.map((row) => row[n] ?? null);
    if (type === "text") return textArray(values as Array<string | null>);
    if (type === "bytes") return byteaArray(values as Array<Uint8Array | null>);
    return bigintArray(values as Array<number | null>);
  });
}
