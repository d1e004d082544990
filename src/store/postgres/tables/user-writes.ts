import type { Clock } from "../../../model/clock.ts";
import type { DeviceRecord, SessionRecord, UserCaps } from "../../../model/records.ts";
import { InOrder } from "../../in-order.ts";
import { bigintArray, textArray } from "../connection/binary-arrays.ts";
import type { Connections, Statement } from "../connection/connections.ts";
import type { Identity } from "../connection/identity.ts";

/** For how long a token that expired is still known as such. */
const keepExpiredMs = 86_400_000;
/** How many of a user's sessions a login looks at, to forget those that expired long ago: it costs the same however many there are. */
const lookedAt = 64;

/** For how long a device that was logged out is kept before others, so that its older tokens stay refused. */
const keepRefusalMs = 86_400_000;
/** Stands for no limit. */
const unlimited = 2 ** 31;

/** Makes room for a new device: see `Store.openDevice`. Its first opening gets a number above that of any it takes the place of. */
const makeRoom = `
  had AS (SELECT count(*) AS count, max(opens) AS opens FROM devices WHERE user_id = $1),
  forgotten AS (
    DELETE FROM devices WHERE (user_id, device_id) IN (
      SELECT user_id, device_id FROM devices
      WHERE user_id = $1 AND NOT EXISTS (SELECT FROM devices WHERE user_id = $1 AND device_id = $2)
      ORDER BY tokens_refused_before_ms > $6, position NULLS FIRST, opens
      LIMIT (SELECT greatest(count - $5::bigint + 1, 0) FROM had)
    )
  )
`;
const keepDevice = `
  INSERT INTO devices AS d (user_id, device_id, platform, name, opens)
    SELECT $1, $2, $3, $4, CASE WHEN count >= $5::bigint THEN opens + 1 ELSE 1 END FROM had
  ON CONFLICT (user_id, device_id) DO UPDATE SET
    opens = d.opens + 1,
    platform = CASE excluded.platform WHEN 0 THEN d.platform ELSE excluded.platform END,
    name = CASE excluded.name WHEN '' THEN d.name ELSE excluded.name END
`;
const openDeviceStatement: Statement = {
  name: "open_device",
  text: `
    WITH ${makeRoom} ${keepDevice}
    RETURNING d.user_id AS "userId", d.device_id AS "deviceId", d.platform, d.name, d.position, d.opens
  `,
};
// In one order for all processes, so that nobody waits in a circle.
const saveCursorsStatement: Statement = {
  name: "save_cursors",
  text: `
    INSERT INTO devices AS d (user_id, device_id, position)
      SELECT c.user_id, c.device_id, max(c.position)
      FROM unnest($1::text[], $2::text[], $3::bigint[]) AS c (user_id, device_id, position)
      GROUP BY c.user_id, c.device_id ORDER BY c.user_id COLLATE "C", c.device_id COLLATE "C"
    ON CONFLICT (user_id, device_id) DO UPDATE SET position = excluded.position
      WHERE coalesce(d.position, -1) < excluded.position
  `,
};
const createSessionStatement: Statement = {
  name: "create_session",
  text: `
    WITH ${makeRoom}, device AS (${keepDevice}),
      looked_at AS (
        (SELECT token_hash, expire_time_ms FROM sessions WHERE user_id = $1 ORDER BY device_id LIMIT ${lookedAt})
        UNION ALL
        (SELECT token_hash, expire_time_ms FROM sessions WHERE user_id = $1 AND device_id = $2 LIMIT ${lookedAt})
      ),
      expired AS (
        DELETE FROM sessions WHERE token_hash IN (SELECT token_hash FROM looked_at WHERE expire_time_ms < $11)
      ),
      oldest AS (
        DELETE FROM sessions WHERE token_hash IN (
          SELECT token_hash FROM sessions WHERE user_id = $1 AND expire_time_ms >= $11
          ORDER BY create_time_ms DESC OFFSET $12
        )
      )
    INSERT INTO sessions (user_id, device_id, platform, token_hash, session_id, create_time_ms, expire_time_ms)
      VALUES ($1, $2, $3, $7, $8, $9, $10)
  `,
};
const deleteSessionsStatement: Statement = {
  name: "delete_sessions_1",
  text: "SELECT delete_sessions_1($1, $2, $3) AS id",
};
const setActiveStatement: Statement = {
  name: "set_last_active",
  text: `
    INSERT INTO users AS u (user_id, last_active_ms)
      SELECT a.user_id, max(a.time_ms) FROM unnest($1::text[], $2::bigint[]) AS a (user_id, time_ms)
      GROUP BY a.user_id ORDER BY a.user_id COLLATE "C"
    ON CONFLICT (user_id) DO UPDATE SET last_active_ms = excluded.last_active_ms
      WHERE u.last_active_ms < excluded.last_active_ms
  `,
};
const addBytesStatement: Statement = {
  name: "add_stored_bytes",
  text: `
    INSERT INTO users AS u (user_id, stored_bytes)
      SELECT a.user_id, sum(a.bytes)::bigint FROM unnest($1::text[], $2::bigint[]) AS a (user_id, bytes)
      GROUP BY a.user_id ORDER BY a.user_id COLLATE "C"
    ON CONFLICT (user_id) DO UPDATE SET stored_bytes = u.stored_bytes + excluded.stored_bytes
    RETURNING u.user_id AS "userId", u.stored_bytes AS bytes
  `,
};

/** Makes the writes about users alone: their devices, sessions and activity. Those of one user keep their order. */
export function createUserWrites(writes: Connections, identity: Identity, clock: Clock) {
  const order = new InOrder();

  return {
    openDevice: (
      userId: string,
      deviceId: string,
      platform: number,
      name: string,
      maxDevices = 0,
    ): Promise<DeviceRecord> =>
      order.run([userId], async () => {
        type Row = Omit<DeviceRecord, "name" | "position"> & { name: Uint8Array; position: number | null };
        const [row] = await writes.run<Row>(openDeviceStatement, [
          userId,
          deviceId,
          platform,
          Buffer.from(name),
          maxDevices || unlimited,
          clock.now() - keepRefusalMs,
        ]);
        if (row === undefined) throw new Error("a device was not kept");
        return { ...row, name: new TextDecoder().decode(row.name), position: row.position ?? undefined };
      }),

    saveCursors: (
      entries: ReadonlyArray<{ userId: string; deviceId: string; position: number }>,
    ): Promise<void> =>
      order.run(
        entries.map(({ userId }) => userId),
        async () => {
          await writes.run(saveCursorsStatement, [
            textArray(entries.map(({ userId }) => userId)),
            textArray(entries.map(({ deviceId }) => deviceId)),
            bigintArray(entries.map(({ position }) => position)),
          ]);
        },
      ),

    createSession: (session: SessionRecord, deviceName: string, most?: UserCaps): Promise<void> =>
      order.run([session.userId], async () => {
        const { tokenHash, sessionId, userId, deviceId, platform, createTimeMs, expireTimeMs } = session;
        const device = [userId, deviceId, platform, Buffer.from(deviceName)];
        const room = [most?.devices || unlimited, clock.now() - keepRefusalMs];
        const rest = [tokenHash, sessionId, createTimeMs, expireTimeMs, createTimeMs - keepExpiredMs];
        const others = (most?.sessions || unlimited) - 1;
        await writes.run(createSessionStatement, [...device, ...room, ...rest, others]);
      }),

    deleteSessions: (userId: string, deviceId: string | undefined): Promise<number> =>
      order.run([userId], async () => {
        const values = [identity.epoch, userId, deviceId ?? null];
        const [row] = await writes.run<{ id: number }>(deleteSessionsStatement, values);
        if (row === undefined) throw new Error("a logout has no id");
        return row.id;
      }),

    setLastActive: (entries: ReadonlyArray<{ userId: string; timeMs: number }>): Promise<void> =>
      order.run(
        entries.map(({ userId }) => userId),
        async () => {
          await writes.run(setActiveStatement, [
            textArray(entries.map(({ userId }) => userId)),
            bigintArray(entries.map(({ timeMs }) => timeMs)),
          ]);
        },
      ),

    addStoredBytes: (
      entries: ReadonlyArray<{ userId: string; bytes: number }>,
    ): Promise<Map<string, number>> =>
      order.run(
        entries.map(({ userId }) => userId),
        async () => {
          const rows = await writes.run<{ userId: string; bytes: number }>(addBytesStatement, [
            textArray(entries.map(({ userId }) => userId)),
            bigintArray(entries.map(({ bytes }) => bytes)),
          ]);
          return new Map(rows.map(({ userId, bytes }) => [userId, bytes]));
        },
      ),
  };
}
