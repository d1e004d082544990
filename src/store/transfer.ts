/**
 * Moving everything from one store into another of another kind: what there is
 * to move, and how to tell that it arrived.
 */

import { createHash } from "node:crypto";

/** How a column's values are written. Flags are numbers, 0 or 1. */
export type ColumnType = "text" | "bytes" | "number";

/** A table, as both sides can give it. */
export interface TransferTable {
  readonly name: string;
  /** Its columns; those of the key come first. */
  readonly columns: ReadonlyArray<readonly [name: string, type: ColumnType]>;
  /** How many columns the key has. Text in keys is in the order of its bytes. */
  readonly keyLength: number;
}

/** A row: a value for each column. */
export type TransferRow = ReadonlyArray<string | number | Uint8Array | null>;

/** The identity of a store and the end of its log. */
export interface TransferHead {
  epoch: string;
  salt: number;
  lastPosition: number;
  lastTimeMs: number;
  lastLogoutId: number;
}

/** A side of a transfer. */
export interface TransferSide {
  /** Returns rows in the order of their keys, those above a key. */
  rows(table: TransferTable, after: TransferRow | undefined, limit: number): Promise<TransferRow[]>;
}

/** Where everything comes from. Nobody writes to it meanwhile. */
export interface TransferSource extends TransferSide {
  readonly head: TransferHead;
  count(table: TransferTable): number;
  close(): void;
}

/** Where everything goes. */
export interface TransferTarget extends TransferSide {
  /** Returns the highest key that has arrived; undefined for none. */
  lastKey(table: TransferTable): Promise<TransferRow | undefined>;
  insert(table: TransferTable, rows: readonly TransferRow[]): Promise<void>;
  /** Makes the store ready for use. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** Hears of how far a transfer has got. */
export interface TransferProgress {
  begin(name: string, rows: number): void;
  /** Rows that were dealt with, one call for each. */
  step(): void;
  end(summary: string): void;
}

/** The totals of a table after its transfer. */
export interface TransferredTable {
  table: string;
  rows: number;
  /** Of all values in the order of keys, in hexadecimal. */
  sha256: string;
}

/** All tables. */
export const transferTables: readonly TransferTable[] = [
  {
    name: "conversations",
    columns: [
      ["key", "number"],
      ["conversation_id", "text"],
      ["last_seq", "number"],
      ["last_position", "number"],
    ],
    keyLength: 1,
  },
  {
    name: "events",
    columns: [
      ["position", "number"],
      ["conversation", "number"],
      ["seq", "number"],
      ["accept_time_ms", "number"],
      ["kind", "number"],
      ["sender_id", "text"],
      ["client_message_id", "bytes"],
      ["body", "bytes"],
      ["about_seq", "number"],
      ["only_user_ids", "text"],
    ],
    keyLength: 1,
  },
  {
    name: "groups",
    columns: [
      ["conversation", "number"],
      ["group_id", "text"],
      ["name", "bytes"],
      ["join_policy", "number"],
      ["history_for_new_members", "number"],
      ["muted", "number"],
      ["member_limit", "number"],
      ["attributes", "text"],
      ["owner_id", "text"],
      ["member_count", "number"],
      ["create_time_ms", "number"],
      ["update_time_ms", "number"],
      ["updater_id", "text"],
      ["seq", "number"],
      ["change_seq", "number"],
      ["disband_time_ms", "number"],
      ["other_settings", "bytes"],
    ],
    keyLength: 1,
  },
  {
    name: "members",
    columns: [
      ["user_id", "text"],
      ["conversation", "number"],
      ["role", "number"],
      ["join_time_ms", "number"],
      ["join_seq", "number"],
      ["visible_from_seq", "number"],
      ["read_seq", "number"],
      ["muted_until_ms", "number"],
    ],
    keyLength: 2,
  },
  {
    name: "past_stays",
    columns: [
      ["user_id", "text"],
      ["to_position", "number"],
      ["conversation", "number"],
      ["from_seq", "number"],
      ["to_seq", "number"],
    ],
    keyLength: 3,
  },
  {
    name: "devices",
    columns: [
      ["user_id", "text"],
      ["device_id", "text"],
      ["platform", "number"],
      ["name", "bytes"],
      ["position", "number"],
      ["opens", "number"],
      ["tokens_refused_before_ms", "number"],
    ],
    keyLength: 2,
  },
  {
    name: "sessions",
    columns: [
      ["token_hash", "bytes"],
      ["session_id", "text"],
      ["user_id", "text"],
      ["device_id", "text"],
      ["platform", "number"],
      ["create_time_ms", "number"],
      ["expire_time_ms", "number"],
    ],
    keyLength: 1,
  },
  {
    name: "users",
    columns: [
      ["user_id", "text"],
      ["last_active_ms", "number"],
      ["tokens_refused_before_ms", "number"],
      ["stored_bytes", "number"],
    ],
    keyLength: 1,
  },
  {
    name: "logouts",
    columns: [
      ["id", "number"],
      ["user_id", "text"],
      ["device_id", "text"],
      ["time_ms", "number"],
    ],
    keyLength: 1,
  },
];

const rowsAtOnce = 500;

/**
 * Copies everything, from where an earlier try got to, compares both sides and
 * makes the target ready for use.
 *
 * @throws Error when the sides differ in the end
 */
export async function transfer(
  source: TransferSource,
  target: TransferTarget,
  progress: TransferProgress,
): Promise<TransferredTable[]> {
  for (const table of transferTables) {
    const count = source.count(table);
    progress.begin(`copying ${table.name}`, count);
    let copied = 0;
    const after = await target.lastKey(table);
    for await (const rows of pages(source, table, after)) {
      await target.insert(table, rows);
      copied += rows.length;
      for (const _ of rows) progress.step();
    }
    progress.end(`${copied} rows${after === undefined ? "" : ", the others were there already"}`);
  }
  const tables: TransferredTable[] = [];
  for (const table of transferTables) {
    progress.begin(`comparing ${table.name}`, source.count(table));
    const wanted = await digest(source, table, progress);
    const found = await digest(target, table);
    if (wanted.rows !== found.rows || wanted.sha256 !== found.sha256) {
      throw new Error(
        `the copy of ${table.name} differs: ${found.rows} rows with SHA-256 ${found.sha256} instead of ${wanted.rows} with ${wanted.sha256}`,
      );
    }
    progress.end(`${wanted.rows} rows are the same`);
    tables.push(wanted);
  }
  await target.finish();
  return tables;
}

async function* pages(
  side: TransferSide,
  table: TransferTable,
  after?: TransferRow,
): AsyncGenerator<TransferRow[]> {
  let last = after;
  for (;;) {
    const rows = await side.rows(table, last, rowsAtOnce);
    if (rows.length > 0) yield rows;
    if (rows.length < rowsAtOnce) return;
    last = rows.at(-1)?.slice(0, table.keyLength);
  }
}

async function digest(
  side: TransferSide,
  table: TransferTable,
  progress?: TransferProgress,
): Promise<TransferredTable> {
  const hash = createHash("sha256");
  let count = 0;
  for await (const rows of pages(side, table)) {
    for (const row of rows) {
      for (const value of row) {
        const bytes = value instanceof Uint8Array ? value : String(value);
        // The length keeps values apart, and the type an absent one from the word for it.
        hash.update(`${value === null ? "-" : typeof value} ${Buffer.byteLength(bytes)} `);
        hash.update(bytes);
      }
      progress?.step();
    }
    count += rows.length;
  }
  return { table: table.name, rows: count, sha256: hash.digest("hex") };
}
