import { randomBytes } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { failPoint } from "../../../fail-points.ts";
import { newEpoch } from "../../new-epoch.ts";

/** One step of the schema. Steps are never edited once released, only added. */
interface Migration {
  version: number;
  sql: string;
}

const migrations: readonly Migration[] = [
  {
    version: 1,
    sql: `
      CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value ANY NOT NULL
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE conversations (
        key INTEGER PRIMARY KEY,
        conversation_id TEXT NOT NULL UNIQUE
      ) STRICT;

      CREATE TABLE events (
        position INTEGER PRIMARY KEY,
        conversation INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        sender_id TEXT NOT NULL,
        client_message_id TEXT,
        accept_time_ms INTEGER NOT NULL,
        body BLOB NOT NULL
      ) STRICT;
      CREATE UNIQUE INDEX events_by_seq ON events (conversation, seq);
      CREATE UNIQUE INDEX events_by_client_message_id ON events (client_message_id, sender_id)
        WHERE client_message_id IS NOT NULL;

      CREATE TABLE groups (
        conversation INTEGER PRIMARY KEY REFERENCES conversations (key),
        group_id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        join_policy INTEGER NOT NULL,
        history_for_new_members INTEGER NOT NULL,
        muted INTEGER NOT NULL,
        member_limit INTEGER NOT NULL,
        attributes TEXT NOT NULL,
        owner_id TEXT NOT NULL,
        member_count INTEGER NOT NULL,
        create_time_ms INTEGER NOT NULL,
        update_time_ms INTEGER NOT NULL,
        updater_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        disband_time_ms INTEGER
      ) STRICT;

      -- Who is in which conversation now, direct ones too. Clustered by user:
      -- catching up reads all of one user's rows.
      CREATE TABLE members (
        user_id TEXT NOT NULL,
        conversation INTEGER NOT NULL REFERENCES conversations (key),
        role INTEGER NOT NULL,
        join_time_ms INTEGER NOT NULL,
        join_seq INTEGER NOT NULL,
        visible_from_seq INTEGER NOT NULL,
        read_seq INTEGER NOT NULL,
        muted_until_ms INTEGER NOT NULL,
        PRIMARY KEY (user_id, conversation)
      ) STRICT, WITHOUT ROWID;
      CREATE UNIQUE INDEX members_by_conversation ON members (conversation, user_id);

      -- Memberships that ended; the event of to_seq ended them.
      CREATE TABLE past_stays (
        user_id TEXT NOT NULL,
        conversation INTEGER NOT NULL REFERENCES conversations (key),
        from_seq INTEGER NOT NULL,
        to_seq INTEGER NOT NULL,
        to_position INTEGER NOT NULL,
        PRIMARY KEY (user_id, to_position, conversation)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE devices (
        user_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        platform INTEGER NOT NULL DEFAULT 0,
        name TEXT NOT NULL DEFAULT '',
        position INTEGER,
        tokens_refused_before_ms INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (user_id, device_id)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE sessions (
        token_hash BLOB PRIMARY KEY,
        session_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        platform INTEGER NOT NULL,
        create_time_ms INTEGER NOT NULL,
        expire_time_ms INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX sessions_by_device ON sessions (user_id, device_id);

      CREATE TABLE users (
        user_id TEXT PRIMARY KEY,
        last_active_ms INTEGER NOT NULL DEFAULT 0,
        tokens_refused_before_ms INTEGER NOT NULL DEFAULT 0
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    version: 2,
    sql: `
      -- The last logouts, for processes that keep tokens in memory.
      CREATE TABLE logouts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id TEXT NOT NULL,
        device_id TEXT,
        time_ms INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX logouts_by_time ON logouts (time_ms);

      ALTER TABLE devices ADD COLUMN opens INTEGER NOT NULL DEFAULT 0;
    `,
  },
  {
    version: 3,
    sql: `
      -- By \`checksum.ts\`; NULL for events of before.
      ALTER TABLE events ADD COLUMN checksum INTEGER;
    `,
  },
  {
    version: 4,
    sql: `
      -- Of the bodies of the user's messages, as far as they were counted.
      ALTER TABLE users ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0;
    `,
  },
  {
    version: 5,
    sql: `
      -- Whom an event is for, where that is not everybody; see \`audience.ts\`.
      ALTER TABLE events ADD COLUMN about_seq INTEGER;
      ALTER TABLE events ADD COLUMN only_user_ids TEXT;
    `,
  },
  {
    version: 6,
    sql: `
      -- By \`other-settings.ts\`.
      ALTER TABLE groups ADD COLUMN other_settings BLOB NOT NULL DEFAULT x'';
    `,
  },
];

/** The version of the schema that this code writes. */
export const schemaVersion = migrations.at(-1)?.version ?? 0;

/** The identity of a store. */
export interface Identity {
  epoch: string;
  salt: number;
}

/**
 * Brings a file up to the schema of this code, one transaction per step, and
 * gives a new one its identity.
 *
 * @throws Error when the file is of a newer schema, or not of this application
 */
export function migrate(database: DatabaseSync, path: string): void {
  const version = versionOf(database);
  if (!isStore(database) && database.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() !== undefined) {
    throw new Error(`${path} is a database of another application; name another folder with --data-dir`);
  }
  if (version > schemaVersion) {
    throw new Error(
      `${path} has schema version ${version}, made by a newer release; this one knows versions up to ${schemaVersion}; start that release, or name another folder with --data-dir`,
    );
  }
  for (const migration of migrations) {
    if (migration.version <= version) continue;
    database.exec("BEGIN IMMEDIATE");
    database.exec(migration.sql);
    if (migration.version === 1) writeIdentity(database);
    database.exec(`PRAGMA user_version = ${migration.version}`);
    failPoint("migration.before-commit");
    database.exec("COMMIT");
    failPoint("migration.after-commit");
  }
}

/** Tells whether a file holds a store, of whatever version. An empty one does not. */
export function isStore(database: DatabaseSync): boolean {
  // Other applications have versions and tables named `meta`, too.
  const tables =
    "SELECT count(*) AS count FROM sqlite_schema WHERE name IN ('meta', 'conversations', 'events')";
  if (versionOf(database) === 0 || database.prepare(tables).get()?.["count"] !== 3) return false;
  const columns = "SELECT count(*) AS count FROM pragma_table_info('meta') WHERE name IN ('name', 'value')";
  return database.prepare(columns).get()?.["count"] === 2 && readIdentity(database).epoch !== "undefined";
}

/** Reads what names the store. */
export function readIdentity(database: DatabaseSync): Identity {
  const read = database.prepare("SELECT value FROM meta WHERE name = ?");
  return { epoch: String(read.get("epoch")?.value), salt: Number(read.get("salt")?.value) };
}

/** Gives a restored store an epoch of its own. */
export function renewEpoch(database: DatabaseSync): void {
  database.prepare("UPDATE meta SET value = ? WHERE name = 'epoch'").run(newEpoch());
}

function writeIdentity(database: DatabaseSync): void {
  const write = database.prepare("INSERT INTO meta (name, value) VALUES (?, ?)");
  write.run("epoch", newEpoch());
  write.run("salt", randomBytes(4).readUInt32LE());
}

function versionOf(database: DatabaseSync): number {
  return Number(database.prepare("PRAGMA user_version").get()?.user_version);
}
