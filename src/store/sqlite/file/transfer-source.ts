import { existsSync } from "node:fs";
import type { TransferRow, TransferSource, TransferTable } from "../../transfer.ts";
import { openForWriting } from "./database.ts";
import { takeLock } from "./lock.ts";
import { isLogDamaged } from "./log-damage.ts";
import { migrate, readIdentity } from "./migrations.ts";

/** Columns that another kind of store has in another form. */
const expressions: Record<string, Record<string, string>> = {
  conversations: {
    last_seq:
      "ifnull((SELECT seq FROM events e WHERE e.conversation = t.key ORDER BY seq DESC LIMIT 1), 0) AS last_seq",
    last_position:
      "ifnull((SELECT position FROM events e WHERE e.conversation = t.key ORDER BY seq DESC LIMIT 1), 0) AS last_position",
  },
  events: { client_message_id: "CAST(client_message_id AS BLOB) AS client_message_id" },
  groups: {
    name: "CAST(name AS BLOB) AS name",
    change_seq: `(
      SELECT seq FROM events e WHERE e.conversation = t.conversation AND kind IN (2, 3) ORDER BY seq DESC LIMIT 1
    ) AS change_seq`,
  },
  devices: { name: "CAST(name AS BLOB) AS name" },
};

/**
 * Opens a store in a SQLite file to move it elsewhere. No server can use it
 * until it is closed.
 *
 * @throws Error when there is no such file, it is in use, or it is no store
 */
export function openTransferSource(path: string): TransferSource {
  if (!existsSync(path)) throw new Error(`there is no file ${path}`);
  const lock = takeLock(path);
  try {
    if (isLogDamaged(path))
      throw new Error(
        `the write-ahead log of ${path} is damaged; start the service once, which keeps it and gives the data a new epoch`,
      );
    const database = openForWriting({ path, maxFileBytes: Number.MAX_SAFE_INTEGER });
    migrate(database, path);
    const one = (sql: string) => database.prepare(sql).get();
    const last = one("SELECT position, accept_time_ms FROM events ORDER BY position DESC LIMIT 1");
    return {
      head: {
        ...readIdentity(database),
        lastPosition: Number(last?.["position"] ?? 0),
        lastTimeMs: Number(last?.["accept_time_ms"] ?? 0),
        lastLogoutId: Number(one("SELECT seq FROM sqlite_sequence WHERE name = 'logouts'")?.["seq"] ?? 0),
      },

      count: ({ name }) => Number(one(`SELECT count(*) AS count FROM ${name}`)?.["count"]),

      async rows(table, after, limit) {
        const statement = database.prepare(pageSql(table, after !== undefined));
        const rows = statement.all(...(after ?? []), limit);
        return rows.map((row) => table.columns.map(([name]) => row[name]) as unknown as TransferRow);
      },

      close() {
        database.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function pageSql({ name, columns, keyLength }: TransferTable, isNext: boolean): string {
  const selected = columns.map(([column]) => expressions[name]?.[column] ?? column);
  const key = columns.slice(0, keyLength).map(([column]) => column);
  const condition = isNext ? `WHERE (${key.join(", ")}) > (${key.map(() => "?").join(", ")})` : "";
  return `SELECT ${selected.join(", ")} FROM ${name} t ${condition} ORDER BY ${key.join(", ")} LIMIT ?`;
}
