/** The authenticated caller of an rpc. */
export interface Caller {
  userId: string;
  deviceId: string;
  /** A number of the proto's `Platform`. */
  platform: number;
  /** Names the session of the token in logs; a host token's is made from its user and device. */
  sessionId: string;
  /** When the token expires, in milliseconds since 1970. */
  expireTimeMs: number;
  /**
   * When the host token behind the call was issued, in milliseconds since 1970; at the latest, where that is not
   * known; 0 when there is none.
   */
  issueTimeMs: number;
  /** Whether the host itself acts for the user, in process. */
  isHost?: true;
}
