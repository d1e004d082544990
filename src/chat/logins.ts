import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { LRUCache } from "lru-cache";
import { v7 as uuidv7 } from "uuid";
import type { LoginRequest } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { Credential, Identity, TokenVerifier } from "../auth/verifier.ts";
import type { Caller } from "../model/caller.ts";
import type { Clock } from "../model/clock.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { SessionRecord } from "../model/records.ts";
import { tokenExpired } from "../rules/refusals.ts";
import type { SessionStore } from "../store/ports/sessions.ts";
import { type ChatLimits, limitsMessage } from "./limits.ts";

/** Session tokens begin with this, so that one found in a log or a repository is known for what it is. */
const tokenPrefix = "parlance_";
const defaultDeviceId = "default";
/** The most tokens whose caller is kept in memory. */
const maxCached = 50_000;
/** The longest that a logout waits for the second to end in which its token was issued: issuers' clocks differ. */
const maxLogoutWaitMs = 6_000;
/** How far ahead of this node's clock another may have been that made a logout, in milliseconds. */
const maxAheadMs = 300_000;
/**
 * How far ahead a clock may have been that made a session, in milliseconds. A clock that is put right by hours must not
 * log anybody out; one that was years ahead must not leave sessions good for years.
 */
const maxSessionAheadMs = 2 * 86_400_000;

/**
 * Signs users in and knows who a token stands for. Session tokens are random
 * and only their hash is stored, so neither a copy of the database nor a log
 * lets anyone in, and logging out takes effect at once.
 */
export class Logins {
  readonly #store: SessionStore;
  readonly #verifier: TokenVerifier;
  readonly #limits: ChatLimits;
  readonly #clock: Clock;
  readonly #callers = new LRUCache<string, Caller>({
    max: maxCached,
    dispose: (caller, key) => this.#leave(caller.userId, key),
  });
  /** The keys of each user's callers: a logout need not look at those of others. */
  readonly #keysOf = new Map<string, Set<string>>();
  /** Callers who were logged out since their token was seen. */
  readonly #loggedOut = new WeakSet<Caller>();
  /** When what does not tell its time, or tells a wrong one, was first seen, in milliseconds since 1970. */
  readonly #firstSeen = new LRUCache<string, number>({ max: maxCached });
  /** How often anybody was logged out, as far as this node knows. */
  #logouts = 0;

  constructor(store: SessionStore, verifier: TokenVerifier, limits: ChatLimits, clock: Clock) {
    this.#clock = clock;
    this.#store = store;
    this.#verifier = verifier;
    this.#limits = limits;
  }

  /** @throws ChatError INVALID_TOKEN, TOKEN_EXPIRED, SESSION_LOGGED_OUT, LOGIN_METHOD_DISABLED */
  async login({ credential, device }: LoginRequest) {
    const identity = await this.#verify(credentialOf(credential));
    const deviceId = device?.deviceId || defaultDeviceId;
    await this.#checkNotRefused(identity, deviceId);
    const now = this.#clock.now();
    const token = tokenPrefix + randomBytes(32).toString("base64url");
    const session = {
      tokenHash: hashOf(token),
      sessionId: uuidv7(),
      userId: identity.userId,
      deviceId,
      platform: device?.platform ?? 0,
      createTimeMs: now,
      expireTimeMs: Math.min(now + this.#limits.sessionTtlMs, identity.expireTimeMs),
    };
    await this.#store.createSession(session, device?.name ?? "", {
      sessions: this.#limits.maxSessionsPerUser,
      devices: this.#limits.maxDevicesPerUser,
    });
    // Who came without a token may come again at any time: no logout has to wait for that.
    const issueTimeMs = credential.case === "devUserId" ? 0 : identity.issueTimeMs;
    this.#keep(token, callerOf(session, issueTimeMs));
    return {
      sessionToken: token,
      userId: session.userId,
      sessionId: session.sessionId,
      expireTime: timestampFromMs(session.expireTimeMs),
      limits: limitsMessage(this.#limits),
    };
  }

  /**
   * Returns who a token stands for: at once when it was seen before.
   *
   * @param deviceId the device, for tokens of the host, which name none
   * @throws ChatError INVALID_TOKEN, TOKEN_EXPIRED
   */
  resolve(token: string, deviceId: string | undefined): Caller | Promise<Caller> {
    const own = token.startsWith(tokenPrefix);
    const key = own ? token : `${deviceId ?? defaultDeviceId}\n${token}`;
    const known = this.#callers.get(key);
    if (known !== undefined) return own ? this.#standing(known) : this.#notExpired(known);
    return this.#lookUp(key, () =>
      own ? this.#session(token) : this.#host(token, deviceId ?? defaultDeviceId),
    );
  }

  /**
   * Checks that a caller was not logged out since `resolve` returned them: for
   * what outlasts the call, as an open stream.
   *
   * @throws ChatError SESSION_LOGGED_OUT
   */
  checkStands(caller: Caller): void {
    if (!this.#loggedOut.has(caller)) return;
    throw new ChatError(ErrorReason.SESSION_LOGGED_OUT, "the session was logged out; log in again");
  }

  /**
   * Waits until a logout refuses the host token behind a caller, too. Tokens
   * tell whole seconds, and one that is issued in the second of the logout, but
   * after it, has to be good: so a logout must not fall into the second in
   * which its own token was issued.
   */
  async untilRefusable({ issueTimeMs }: Caller): Promise<void> {
    const refusableMs = Math.min((secondOf(issueTimeMs) + 1) * 1000, this.#clock.now() + maxLogoutWaitMs);
    // A timer may be a little early by the wall clock.
    for (let nowMs = this.#clock.now(); nowMs < refusableMs; nowMs = this.#clock.now())
      await sleep(refusableMs - nowMs);
  }

  /** Forgets what is known of the tokens of a device, or of all devices of a user. */
  forget(userId: string, deviceId: string | undefined): void {
    this.#logouts++;
    for (const key of [...(this.#keysOf.get(userId) ?? [])]) {
      const caller = this.#callers.peek(key);
      if (caller === undefined || (deviceId !== undefined && caller.deviceId !== deviceId)) continue;
      this.#callers.delete(key);
      this.#loggedOut.add(caller);
    }
  }

  #keep(key: string, caller: Caller): void {
    this.#callers.set(key, caller);
    const keys = this.#keysOf.get(caller.userId);
    if (keys === undefined) this.#keysOf.set(caller.userId, new Set([key]));
    else keys.add(key);
  }

  #leave(userId: string, key: string): void {
    const keys = this.#keysOf.get(userId);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysOf.delete(userId);
  }

  /** Looks a token up, and again when somebody was logged out meanwhile: it might have been this caller. */
  async #lookUp(key: string, find: () => Promise<Caller>): Promise<Caller> {
    for (;;) {
      const logouts = this.#logouts;
      const found = await find();
      if (logouts !== this.#logouts) continue;
      // One object for one token, so that a logout finds every use of it.
      const caller = this.#callers.get(key) ?? found;
      this.#keep(key, caller);
      return caller;
    }
  }

  /** Verifies a credential; one that does not tell when it was issued counts as issued when it was first seen. */
  async #verify(credential: Credential): Promise<Identity> {
    const identity = await this.#verifier.verify(credential);
    if (identity.expireTimeMs <= this.#clock.now()) throw tokenExpired();
    if (identity.issueTimeMs > 0) return identity;
    const key = credential.kind === "token" ? hashOf(credential.token).toString("base64") : "";
    return { ...identity, issueTimeMs: key === "" ? this.#clock.now() : this.#firstSeenMs(key) };
  }

  /** @throws ChatError SESSION_LOGGED_OUT */
  async #checkNotRefused({ userId, issueTimeMs }: Identity, deviceId: string): Promise<void> {
    const logoutMs = await this.#store.tokensRefusedBeforeMs(userId, deviceId);
    // A logout dated ahead was made while a clock was, and would lock the user out until then.
    const isAhead = logoutMs > this.#clock.now() + maxAheadMs;
    const refusedBeforeMs = isAhead ? this.#firstSeenMs(`${logoutMs}\n${userId}\n${deviceId}`) : logoutMs;
    if (secondOf(issueTimeMs) >= secondOf(refusedBeforeMs)) return;
    throw new ChatError(
      ErrorReason.SESSION_LOGGED_OUT,
      "the token was issued before the user logged out; get a new one",
    );
  }

  async #session(token: string): Promise<Caller> {
    const session = await this.#store.findSession(hashOf(token));
    if (session === undefined) {
      throw new ChatError(
        ErrorReason.INVALID_TOKEN,
        "the session token is unknown or was logged out; log in again",
      );
    }
    return this.#standing(callerOf(this.#bounded(session), session.createTimeMs));
  }

  /**
   * Returns the caller of a session token if it is good now. One that would be
   * good for longer than any that is made now was made while a clock was ahead:
   * how old it really is nobody knows.
   *
   * @throws ChatError TOKEN_EXPIRED
   */
  #standing(caller: Caller): Caller {
    if (caller.expireTimeMs > this.#clock.now() + this.#limits.sessionTtlMs + maxSessionAheadMs)
      throw tokenExpired();
    return this.#notExpired(caller);
  }

  #notExpired(caller: Caller): Caller {
    if (caller.expireTimeMs <= this.#clock.now()) throw tokenExpired();
    return caller;
  }

  #firstSeenMs(key: string): number {
    const timeMs = this.#firstSeen.get(key) ?? this.#clock.now();
    this.#firstSeen.set(key, timeMs);
    return timeMs;
  }

  /** Ends a session as early as the limits of today ask, whatever they were when it was made. */
  #bounded(session: SessionRecord): SessionRecord {
    // The token it was made from was issued before.
    const ttlMs = Math.min(this.#limits.sessionTtlMs, this.#verifier.maxAgeMs ?? Number.POSITIVE_INFINITY);
    return { ...session, expireTimeMs: Math.min(session.expireTimeMs, session.createTimeMs + ttlMs) };
  }

  async #host(token: string, deviceId: string): Promise<Caller> {
    const identity = await this.#verify({ kind: "token", token });
    await this.#checkNotRefused(identity, deviceId);
    const { userId, expireTimeMs, issueTimeMs } = identity;
    const sessionId = `host-${hashOf(token).toString("hex").slice(0, 16)}`;
    return { userId, deviceId, platform: 0, sessionId, expireTimeMs, issueTimeMs };
  }
}

function credentialOf(credential: LoginRequest["credential"]): Credential {
  return credential.case === "devUserId"
    ? { kind: "devUserId", userId: credential.value }
    : { kind: "token", token: credential.value ?? "" };
}

function callerOf(session: SessionRecord, issueTimeMs: number): Caller {
  const { userId, deviceId, platform, sessionId, expireTimeMs } = session;
  return { userId, deviceId, platform, sessionId, expireTimeMs, issueTimeMs };
}

/** Returns the second a time falls into; times of tokens tell no more. */
function secondOf(timeMs: number): number {
  return Math.floor(timeMs / 1000);
}

function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
