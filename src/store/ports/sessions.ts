import type { LogoutRecord, SessionRecord, UserCaps } from "../../model/records.ts";

/** Keeps who is logged in, and who was logged out. */
export interface SessionStore {
  /**
   * Keeps a session token, and drops those of the user that expired over a day ago.
   *
   * @param most what a user has at most, each 0 for no limit: of sessions those made first are dropped, of devices as by
   *   `openDevice`
   */
  createSession(session: SessionRecord, deviceName: string, most?: UserCaps): Promise<void>;
  /** Returns the session of a token, also an expired one; undefined when unknown or logged out. */
  findSession(tokenHash: Uint8Array): Promise<SessionRecord | undefined>;
  /**
   * Ends the sessions of a device, or of all devices of a user, and has host
   * tokens issued before now refused for them.
   *
   * @returns the id of this logout; see `readLogouts`
   */
  deleteSessions(userId: string, deviceId: string | undefined): Promise<number>;
  /**
   * Returns the logouts above an id, by whichever process, in the order of
   * their ids: what `deleteSessions` was called with. They may be forgotten an
   * hour after they happened.
   */
  readLogouts(afterId: number, limit: number): Promise<LogoutRecord[]>;
  /** Returns the id of the last logout, 0 when there was none. */
  lastLogoutId(): Promise<number>;
  /** Returns the time before which host tokens of a user and device are refused, 0 for none. */
  tokensRefusedBeforeMs(userId: string, deviceId: string): Promise<number>;
}
