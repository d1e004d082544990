import type { DatabaseSync } from "node:sqlite";
import type { Clock } from "../../../model/clock.ts";
import { ChatError, ErrorReason } from "../../../model/errors.ts";
import type { DeviceRecord, SessionRecord, UserCaps } from "../../../model/records.ts";
import type { Log } from "./log.ts";

/** For how long a token that expired is still known as such. */
const keepExpiredMs = 86_400_000;
/** For how long a device that was logged out is kept before others, so that its older tokens stay refused. */
const keepRefusalMs = 86_400_000;
/** How many of a user's sessions a login looks at, to forget those that expired long ago: it costs the same however many there are. */
const lookedAt = 64;
/** For how long it is known who was logged out. */
const keepLogoutsMs = 3_600_000;

/** Makes the writes about users alone: what they read, their devices, sessions and activity. */
export function createUserWrites(database: DatabaseSync, log: Log, clock: Clock) {
  const selectReadSeq = database.prepare(
    "SELECT read_seq FROM members WHERE user_id = ? AND conversation = ?",
  );
  const updateReadSeq = database.prepare(
    "UPDATE members SET read_seq = ? WHERE user_id = ? AND conversation = ?",
  );
  const upsertDevice = database.prepare(`
    INSERT INTO devices (user_id, device_id, platform, name, opens) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET
      opens = opens + 1,
      platform = iif(excluded.platform = 0, platform, excluded.platform),
      name = iif(excluded.name = '', name, excluded.name)
    RETURNING user_id AS userId, device_id AS deviceId, platform, name, position, opens
  `);
  const selectDevice = database.prepare("SELECT 1 FROM devices WHERE user_id = ? AND device_id = ?");
  const countDevices = database.prepare(
    "SELECT count(*) AS count, max(opens) AS opens FROM devices WHERE user_id = ?",
  );
  const forgetDevices = database.prepare(`
    DELETE FROM devices WHERE (user_id, device_id) IN (
      SELECT user_id, device_id FROM devices WHERE user_id = ?
      ORDER BY tokens_refused_before_ms > ?, position IS NOT NULL, position, opens LIMIT ?
    )
  `);
  const upsertCursor = database.prepare(`
    INSERT INTO devices (user_id, device_id, position) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET position = excluded.position WHERE ifnull(position, -1) < excluded.position
  `);
  const insertSession = database.prepare(`
    INSERT INTO sessions (token_hash, session_id, user_id, device_id, platform, create_time_ms, expire_time_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?)
  `);
  const countSessions = database.prepare("SELECT count(*) AS count FROM sessions WHERE user_id = ?");
  const deleteOldest = database.prepare(`
    DELETE FROM sessions WHERE token_hash IN (
      SELECT token_hash FROM sessions WHERE user_id = ? ORDER BY create_time_ms LIMIT ?
    )
  `);
  // The first ones, and those that follow the new one, whose hash is anywhere among them.
  const someOf = (from: string) => `
    SELECT token_hash FROM (
      SELECT token_hash, expire_time_ms FROM sessions
      WHERE user_id = :userId ${from} ORDER BY device_id, token_hash LIMIT ${lookedAt}
    ) WHERE expire_time_ms < :beforeMs
  `;
  const deleteExpired = database.prepare(`
    DELETE FROM sessions WHERE token_hash IN (
      ${someOf("")} UNION ALL ${someOf("AND device_id = :deviceId AND token_hash > :tokenHash")}
    )
  `);
  const deleteOfDevice = database.prepare("DELETE FROM sessions WHERE user_id = ? AND device_id = ?");
  const deleteOfUser = database.prepare("DELETE FROM sessions WHERE user_id = ?");
  const refuseForDevice = database.prepare(`
    INSERT INTO devices (user_id, device_id, tokens_refused_before_ms) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET tokens_refused_before_ms = excluded.tokens_refused_before_ms
  `);
  const refuseForUser = database.prepare(`
    INSERT INTO users (user_id, tokens_refused_before_ms) VALUES (?, ?)
    ON CONFLICT DO UPDATE SET tokens_refused_before_ms = excluded.tokens_refused_before_ms
  `);
  const insertLogout = database.prepare("INSERT INTO logouts (user_id, device_id, time_ms) VALUES (?, ?, ?)");
  const deleteLogouts = database.prepare("DELETE FROM logouts WHERE time_ms < ?");
  const upsertActive = database.prepare(`
    INSERT INTO users (user_id, last_active_ms) VALUES (?, ?)
    ON CONFLICT DO UPDATE SET last_active_ms = max(last_active_ms, excluded.last_active_ms)
  `);
  const addBytes = database.prepare(`
    INSERT INTO users (user_id, stored_bytes) VALUES (?, ?)
    ON CONFLICT DO UPDATE SET stored_bytes = stored_bytes + excluded.stored_bytes
    RETURNING stored_bytes AS bytes
  `);

  /** Makes room for a new device, and returns the number of its first opening: above that of any it takes the place of. */
  function makeRoom(userId: string, deviceId: string, maxDevices: number): number {
    if (maxDevices === 0 || selectDevice.get(userId, deviceId) !== undefined) return 1;
    const { count, opens } = countDevices.get(userId) as { count: number; opens: number };
    if (count < maxDevices) return 1;
    forgetDevices.run(userId, clock.now() - keepRefusalMs, count - maxDevices + 1);
    return opens + 1;
  }

  function openDevice(
    userId: string,
    deviceId: string,
    platform: number,
    name: string,
    maxDevices = 0,
  ): DeviceRecord {
    const opens = makeRoom(userId, deviceId, maxDevices);
    const row = upsertDevice.get(userId, deviceId, platform, name, opens) as unknown as DeviceRecord;
    return { ...row, position: row.position ?? undefined };
  }

  return {
    markRead(userId: string, conversationId: string, upToSeq: number): boolean {
      const key = log.keyOf(conversationId);
      const row = key === undefined ? undefined : selectReadSeq.get(userId, key);
      if (key === undefined || row === undefined) {
        throw new ChatError(
          ErrorReason.CONVERSATION_NOT_FOUND,
          `you are in no conversation "${conversationId}"`,
        );
      }
      const lastSeq = log.headOf(key);
      if (upToSeq > lastSeq) {
        throw new ChatError(ErrorReason.SEQ_IN_FUTURE, `seq ${upToSeq} is above the last one, ${lastSeq}`);
      }
      if (upToSeq <= Number(row.read_seq)) return false;
      updateReadSeq.run(upToSeq, userId, key);
      return true;
    },

    openDevice,

    saveCursors(entries: ReadonlyArray<{ userId: string; deviceId: string; position: number }>): void {
      for (const { userId, deviceId, position } of entries) upsertCursor.run(userId, deviceId, position);
    },

    createSession(session: SessionRecord, deviceName: string, most?: UserCaps): void {
      const { tokenHash, sessionId, userId, deviceId, platform, createTimeMs, expireTimeMs } = session;
      deleteExpired.run({ userId, deviceId, tokenHash, beforeMs: createTimeMs - keepExpiredMs });
      insertSession.run(tokenHash, sessionId, userId, deviceId, platform, createTimeMs, expireTimeMs);
      if (most !== undefined && most.sessions > 0) {
        const excess = Number(countSessions.get(userId)?.["count"]) - most.sessions;
        if (excess > 0) deleteOldest.run(userId, excess);
      }
      openDevice(userId, deviceId, platform, deviceName, most?.devices);
    },

    deleteSessions(userId: string, deviceId: string | undefined): number {
      const nowMs = clock.now();
      if (deviceId === undefined) {
        deleteOfUser.run(userId);
        refuseForUser.run(userId, nowMs);
      } else {
        deleteOfDevice.run(userId, deviceId);
        refuseForDevice.run(userId, deviceId, nowMs);
      }
      deleteLogouts.run(nowMs - keepLogoutsMs);
      return Number(insertLogout.run(userId, deviceId ?? null, nowMs).lastInsertRowid);
    },

    setLastActive(entries: ReadonlyArray<{ userId: string; timeMs: number }>): void {
      for (const { userId, timeMs } of entries) upsertActive.run(userId, timeMs);
    },

    addStoredBytes(entries: ReadonlyArray<{ userId: string; bytes: number }>): Map<string, number> {
      return new Map(
        entries.map(({ userId, bytes }) => [userId, Number(addBytes.get(userId, bytes)?.["bytes"])]),
      );
    },
  };
}
