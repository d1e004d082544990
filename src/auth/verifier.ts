/**
 * Proves who a caller is. Implementations: `dev.ts` (any user id, loopback
 * only) and `jwt.ts` (tokens of the host application). Session tokens that
 * `Login` hands out are the chat's own and do not come here.
 */

/** The user that a credential identifies. */
export interface Identity {
  /** 1 to 128 bytes, checked by the same rule as every user id. */
  userId: string;
  /** When the credential expires, in milliseconds since 1970. */
  expireTimeMs: number;
  /**
   * When it was issued, in milliseconds since 1970; 0 when it does not tell. A
   * logout refuses those issued before it, in whole seconds, as tokens tell no
   * less. One that does not tell counts as issued when a node first sees it.
   */
  issueTimeMs: number;
}

/** The credentials that `Login` accepts. */
export type Credential = { kind: "devUserId"; userId: string } | { kind: "token"; token: string };

/** Proves who a caller is. */
export interface TokenVerifier {
  /** The longest time since a token was issued that it accepts, in milliseconds; none when left out. */
  readonly maxAgeMs?: number;
  /**
   * Verifies a credential.
   *
   * @throws ChatError INVALID_TOKEN, TOKEN_EXPIRED, LOGIN_METHOD_DISABLED; the message never repeats the token
   */
  verify(credential: Credential): Promise<Identity>;
}
