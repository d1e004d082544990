import type { DatabaseSync } from "node:sqlite";

/** As much as a large message: where this finds room, so does the next send. */
const probeBytes = 131_072;

/**
 * Makes the writes that try whether the database can write. What the first puts
 * down only the second, in a transaction of its own, takes away: in one they
 * would cancel out and never reach the disk.
 */
export function createProbe(database: DatabaseSync) {
  const insert = database.prepare(
    `INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', zeroblob(${probeBytes}))`,
  );
  const remove = database.prepare("DELETE FROM meta WHERE name = 'probe'");

  return {
    probe: () => void insert.run(),
    endProbe: () => void remove.run(),
  };
}
