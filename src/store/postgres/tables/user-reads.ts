import type { LogoutRecord, SessionRecord } from "../../../model/records.ts";
import { textArray } from "../connection/binary-arrays.ts";
import type { Connections, Statement } from "../connection/connections.ts";

const sessionStatement: Statement = {
  name: "find_session",
  text: `
    SELECT token_hash AS "tokenHash", session_id AS "sessionId", user_id AS "userId", device_id AS "deviceId",
      platform, create_time_ms AS "createTimeMs", expire_time_ms AS "expireTimeMs"
    FROM sessions WHERE token_hash = $1
  `,
};
const refusedStatement: Statement = {
  name: "tokens_refused_before",
  text: `
    SELECT greatest(0,
      (SELECT tokens_refused_before_ms FROM users WHERE user_id = $1),
      (SELECT tokens_refused_before_ms FROM devices WHERE user_id = $1 AND device_id = $2)
    )::bigint AS "timeMs"
  `,
};
const activeStatement: Statement = {
  name: "get_last_active",
  text: `
    SELECT user_id AS "userId", last_active_ms AS "timeMs" FROM users
    WHERE user_id = ANY ($1) AND last_active_ms > 0
  `,
};
const logoutsStatement: Statement = {
  name: "read_logouts",
  text: 'SELECT id, user_id AS "userId", device_id AS "deviceId" FROM logouts WHERE id > $1 ORDER BY id LIMIT $2',
};
const lastLogoutStatement: Statement = {
  name: "last_logout_id",
  text: "SELECT last_logout_id AS id FROM log_head",
};

/** Makes the reads about users alone. */
export function createUserReads(reads: Connections) {
  return {
    async findSession(tokenHash: Uint8Array): Promise<SessionRecord | undefined> {
      return (await reads.run<SessionRecord>(sessionStatement, [tokenHash]))[0];
    },

    async tokensRefusedBeforeMs(userId: string, deviceId: string): Promise<number> {
      return (await reads.run<{ timeMs: number }>(refusedStatement, [userId, deviceId]))[0]?.timeMs ?? 0;
    },

    async getLastActive(userIds: readonly string[]): Promise<Map<string, number>> {
      const rows = await reads.run<{ userId: string; timeMs: number }>(activeStatement, [textArray(userIds)]);
      return new Map(rows.map(({ userId, timeMs }) => [userId, timeMs]));
    },

    async readLogouts(afterId: number, limit: number): Promise<LogoutRecord[]> {
      type Row = Omit<LogoutRecord, "deviceId"> & { deviceId: string | null };
      const rows = await reads.run<Row>(logoutsStatement, [afterId, limit]);
      return rows.map((row) => ({ ...row, deviceId: row.deviceId ?? undefined }));
    },

    async lastLogoutId(): Promise<number> {
      return (await reads.run<{ id: number }>(lastLogoutStatement, []))[0]?.id ?? 0;
    },
  };
}
