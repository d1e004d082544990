/** Keeps what is counted and noted of users. */
export interface UserStore {
  /** Notes when users were last active. */
  setLastActive(entries: ReadonlyArray<{ userId: string; timeMs: number }>): Promise<void>;
  /** Returns when users were last active; those never seen are left out. */
  getLastActive(userIds: readonly string[]): Promise<Map<string, number>>;
  /**
   * Adds to how many bytes of messages users have stored, which `append` does
   * not count itself. A user may be named more than once, and with 0 bytes.
   *
   * @returns what each has then
   */
  addStoredBytes(entries: ReadonlyArray<{ userId: string; bytes: number }>): Promise<Map<string, number>>;
}
