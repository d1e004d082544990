import type { DatabaseSync } from "node:sqlite";
import type { LogoutRecord, SessionRecord } from "../../../model/records.ts";

/** Makes the reads about users alone. */
export function createUserReads(database: DatabaseSync) {
  const selectSession = database.prepare(`
    SELECT token_hash AS tokenHash, session_id AS sessionId, user_id AS userId, device_id AS deviceId, platform,
      create_time_ms AS createTimeMs, expire_time_ms AS expireTimeMs
    FROM sessions WHERE token_hash = ?
  `);
  const selectRefusedBefore = database.prepare(`
    SELECT max(
      ifnull((SELECT tokens_refused_before_ms FROM users WHERE user_id = :userId), 0),
      ifnull((SELECT tokens_refused_before_ms FROM devices WHERE user_id = :userId AND device_id = :deviceId), 0)
    ) AS timeMs
  `);
  const selectLogouts = database.prepare(`
    SELECT id, user_id AS userId, device_id AS deviceId FROM logouts WHERE id > ? ORDER BY id LIMIT ?
  `);
  const selectLastLogout = database.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'logouts'");
  const selectActive = database.prepare(
    "SELECT last_active_ms AS timeMs FROM users WHERE user_id = ? AND last_active_ms > 0",
  );

  return {
    findSession(tokenHash: Uint8Array): SessionRecord | undefined {
      return selectSession.get(tokenHash) as SessionRecord | undefined;
    },

    tokensRefusedBeforeMs(userId: string, deviceId: string): number {
      return Number(selectRefusedBefore.get({ userId, deviceId })?.timeMs);
    },

    readLogouts(afterId: number, limit: number): LogoutRecord[] {
      const rows = selectLogouts.all(afterId, limit) as unknown as (Omit<LogoutRecord, "deviceId"> & {
        deviceId: string | null;
      })[];
      return rows.map((row) => ({ ...row, deviceId: row.deviceId ?? undefined }));
    },

    lastLogoutId(): number {
      return Number(selectLastLogout.get()?.seq ?? 0);
    },

    getLastActive(userIds: readonly string[]): Map<string, number> {
      const times = new Map<string, number>();
      for (const userId of userIds) {
        const row = selectActive.get(userId);
        if (row !== undefined) times.set(userId, Number(row.timeMs));
      }
      return times;
    },
  };
}
