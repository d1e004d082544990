/** As much as a large message: where this finds room, so does the next send. */
const probeBytes = 131_072;

/**
 * The writes that try whether the database can write. Each is a transaction of
 * its own, and the first is on disk before the second takes it away.
 */
export const probeStatements = {
  put: {
    name: "put_probe",
    text: `INSERT INTO probes (body) VALUES (decode(repeat('00', ${probeBytes}), 'hex')) RETURNING id`,
  },
  // And what processes left that did not come to it.
  remove: { name: "remove_probe", text: "DELETE FROM probes WHERE id = $1 OR id < $1 - 1000" },
};
