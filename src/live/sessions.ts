import type { Limits } from "../../gen/parlance/chat/v1/device_pb.js";
import type { Open } from "../../gen/parlance/chat/v1/event_pb.js";
import { type Bus, subjects } from "../bus/bus.ts";
import type { Caller } from "../model/caller.ts";
import type { Clock } from "../model/clock.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { Logger } from "../model/logger.ts";
import type { CatchUpStore } from "../store/ports/catch-up.ts";
import type { DeviceStore } from "../store/ports/devices.ts";
import type { StoreIdentity } from "../store/ports/identity.ts";
import { Admission } from "./admission.ts";
import { tellBehind } from "./behind.ts";
import type { Cursors } from "./cursors.ts";
import { createConcatenation } from "./frame-concatenation.ts";
import { cursorAt, encodeEvent } from "./frames.ts";
import type { Hub } from "./hub.ts";
import { Session } from "./session.ts";
import { drain, draining, endExpired, endReplaced } from "./session-endings.ts";
import { WakeQueue } from "./wake-queue.ts";

/** The limits of a node's sessions. */
export interface SessionLimits {
  /** The most sessions of this node. */
  maxSessions: number;
  /** The most sessions opened per second, and at once; 0 for no limit. */
  maxNewSessionsPerSecond: number;
  /** The most bytes of events that wait for one session. */
  outboxMaxBytes: number;
  /** The most events replayed to a session that does not say. */
  replayLimit: number;
  /** After how long a session is asked to reconnect, in milliseconds, give or take a tenth. */
  sessionMaxAgeMs: number;
  /** The most streams a user may have open on this node; 0 for no limit. */
  maxStreamsPerUser: number;
  /** The most devices of a user; 0 for no limit. */
  maxDevicesPerUser: number;
}

/** The parts that sessions are opened with. */
export interface SessionsParts {
  store: StoreIdentity & DeviceStore & CatchUpStore;
  bus: Bus;
  hub: Hub;
  cursors: Cursors;
  /** Reads what a session has not got yet. */
  catchUp: (session: Session) => Promise<void>;
  limits: SessionLimits;
  /** The limits as clients are told them. */
  toldLimits: Limits;
  /** Makes sure that a caller was not logged out. @throws ChatError SESSION_LOGGED_OUT */
  checkStands: (caller: Caller) => void;
  /** Told of each session that is closed. */
  onClosed: (session: Session) => void;
  clock: Clock;
  log: Logger;
}

/** Opens the sessions of this node, and ends them. */
export class Sessions {
  readonly #store: SessionsParts["store"];
  readonly #bus: Bus;
  readonly #hub: Hub;
  readonly #cursors: Cursors;
  readonly #catchUp: SessionsParts["catchUp"];
  readonly #limits: SessionLimits;
  readonly #told: Limits;
  readonly #checkStands: SessionsParts["checkStands"];
  readonly #onClosed: SessionsParts["onClosed"];
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #concatenate = createConcatenation();
  readonly #wakeQueue = new WakeQueue();
  readonly #admission: Admission;
  #draining = false;
  /** How often `drain` was called. */
  #drains = 0;

  constructor(parts: SessionsParts) {
    this.#store = parts.store;
    this.#bus = parts.bus;
    this.#hub = parts.hub;
    this.#cursors = parts.cursors;
    this.#catchUp = parts.catchUp;
    this.#limits = parts.limits;
    this.#told = parts.toldLimits;
    this.#checkStands = parts.checkStands;
    this.#onClosed = parts.onClosed;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#admission = new Admission(parts.limits.maxNewSessionsPerSecond, parts.clock.monotonic());
  }

  /**
   * Opens a session. Its outbox begins with `opened`; what the device missed
   * and what happens from now on follows. The caller has to call
   * `close` in the end.
   *
   * @param kill ends the call when its reader does not take the end of the session
   * @param signal aborts when the caller has gone: then its device's other session is left as it is
   * @throws ChatError CURSOR_OF_ANOTHER_EPOCH, CURSOR_IN_FUTURE, SERVER_DRAINING, TOO_MANY_SESSIONS,
   *   TOO_MANY_NEW_SESSIONS, QUOTA_EXCEEDED
   */
  async open(
    caller: Caller,
    open: Open | undefined,
    requestId: string,
    kill: (error: ChatError) => void,
    signal: AbortSignal,
  ): Promise<Session> {
    this.#admit();
    const { userId, deviceId } = caller;
    const named = open?.resumeFrom && (await this.#cursors.check(open.resumeFrom));
    const device = await this.#store.openDevice(
      userId,
      deviceId,
      caller.platform,
      "",
      this.#limits.maxDevicesPerUser,
    );
    const left = named ?? this.#cursors.load(userId, deviceId, device.position);
    const start = left ?? (await this.#store.firstUnreadPosition(userId));
    // Nothing waits from here until the session is added: so those that come at once are all counted.
    this.#checkStreams(userId, deviceId);

    const session = new Session({
      caller: { ...caller, platform: caller.platform || device.platform },
      opens: device.opens,
      outboxMaxBytes: this.#limits.outboxMaxBytes,
      // Spread, so that those who came together do not go together.
      maxAgeMs: this.#limits.sessionMaxAgeMs * (0.9 + Math.random() * 0.2),
      clock: this.#clock,
      kinds: (open?.eventKinds ?? []).reduce((bits, kind) => bits | (1 << kind), 0),
      catchUp: this.#catchUp,
      concatenate: this.#concatenate,
      wakeQueue: this.#wakeQueue,
      kill,
      onTaken: open?.autoAck ? (position) => this.#cursors.raise(caller, position) : undefined,
    });
    signal.throwIfAborted();
    this.#bus.publish(subjects.user(userId), { type: "opened", userId, deviceId, opens: device.opens });
    // One that opened later may have been faster.
    if (this.of(userId, deviceId).some((other) => other.opens > device.opens)) endReplaced(session);
    try {
      await this.#hub.add(session);
      // From here on a logout finds the session; one that came before has to be found now.
      this.#checkStands(caller);
      const limit = open?.replayLimit ?? this.#limits.replayLimit;
      const missed = await this.#store.countMissed(userId, start, limit);
      const isBehind = missed.count > limit;
      session.startAfter(isBehind ? missed.through : start);
      if (isBehind) session.untold = { afterPosition: start, from: 0 };
      const { epoch } = this.#store;
      session.reply(
        encodeEvent(
          {
            case: "opened",
            value: {
              sessionId: session.sessionId,
              cursor: cursorAt(epoch, start),
              resumed: left !== undefined,
              limits: this.#told,
            },
          },
          requestId,
        ),
      );
      if (session.untold !== undefined) await tellBehind(this.#store, session, session.untold);
    } catch (error) {
      this.close(session);
      throw error;
    }
    if (this.#draining) drain(session, 0);
    return session;
  }

  /** Forgets a session whose call is over; a second time does nothing. */
  close(session: Session): void {
    session.outbox.discard();
    this.#hub.remove(session);
    this.#onClosed(session);
  }

  /** Returns the sessions of a user's device, or of all their devices. */
  of(userId: string, deviceId: string | undefined): Session[] {
    const sessions = [...this.#hub.sessionsOfUser(userId)];
    return deviceId === undefined
      ? sessions
      : sessions.filter((session) => session.caller.deviceId === deviceId);
  }

  /**
   * Asks every session to reconnect and takes no new ones. Resolves when all are
   * gone or the grace time is over. A further call takes the place of those
   * before, with its own pace.
   *
   * @param sessionsPerSecond the most that are asked in a second; 0 for all at once. More when half of the
   *   grace time would not suffice for all
   */
  async drain(graceMs: number, sessionsPerSecond = 0): Promise<void> {
    this.#draining = true;
    const round = ++this.#drains;
    const { sessions } = this.#hub;
    this.#log.info({ sessions: sessions.size, sessionsPerSecond }, "draining");
    const waiting = [...sessions];
    const perMs = Math.max(sessionsPerSecond / 1000, waiting.length / Math.max(1, graceMs / 2));
    const startMs = this.#clock.monotonic();
    let asked = 0;
    for (;;) {
      const elapsedMs = this.#clock.monotonic() - startMs;
      const due = sessionsPerSecond === 0 ? waiting.length : Math.floor(elapsedMs * perMs) + 1;
      for (const session of waiting.slice(asked, round === this.#drains ? due : asked))
        drain(session, Math.max(0, Math.round(graceMs - elapsedMs)));
      asked = due;
      if (sessions.size === 0 || elapsedMs >= graceMs) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Ends, once a second, the sessions whose time has come. */
  sweep(): void {
    const now = this.#clock.now();
    const monotonicNow = this.#clock.monotonic();
    for (const session of this.#hub.sessions) {
      if (session.ending) session.killIfStuck(monotonicNow, draining);
      else if (session.caller.expireTimeMs <= now) endExpired(session);
      else if (monotonicNow - session.openTimeMs > session.maxAgeMs) drain(session, 0);
    }
  }

  #admit(): void {
    if (this.#draining) throw draining();
    const { maxSessions, maxNewSessionsPerSecond } = this.#limits;
    if (this.#hub.sessions.size >= maxSessions) {
      const description = `this server takes at most ${maxSessions} sessions`;
      throw tooMany(ErrorReason.TOO_MANY_SESSIONS, description, 5_000);
    }
    const waitMs = this.#admission.enter(this.#clock.monotonic());
    if (waitMs === undefined) return;
    const description = `this server opens at most ${maxNewSessionsPerSecond} sessions a second`;
    throw tooMany(ErrorReason.TOO_MANY_NEW_SESSIONS, description, waitMs);
  }

  /** Counts the streams of a user's other devices: one of the same device gives way. @throws ChatError QUOTA_EXCEEDED */
  #checkStreams(userId: string, deviceId: string): void {
    const { maxStreamsPerUser } = this.#limits;
    const sessions = this.#hub.sessionsOfUser(userId);
    if (maxStreamsPerUser === 0 || sessions.size < maxStreamsPerUser) return;
    const others = [...sessions].filter(({ caller, ending }) => caller.deviceId !== deviceId && !ending);
    if (others.length < maxStreamsPerUser) return;
    const description = `maxStreamsPerUser: at most ${maxStreamsPerUser} streams of a user at a time`;
    throw new ChatError(ErrorReason.QUOTA_EXCEEDED, `${description}; close one first`, {
      quota: { subject: `user:${userId}`, description },
    });
  }
}

function tooMany(reason: ErrorReason, description: string, retryAfterMs: number): ChatError {
  return new ChatError(reason, description, { quota: { subject: "server", description }, retryAfterMs });
}
