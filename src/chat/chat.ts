import { timestampNow } from "@bufbuild/protobuf/wkt";
import type { SetTypingRequest } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { Cursor } from "../../gen/parlance/chat/v1/cursor_pb.js";
import type { Open } from "../../gen/parlance/chat/v1/event_pb.js";
import { createLogFramer } from "../../wire/event-frame.ts";
import { directConversationId, groupConversationId } from "../../wire/ids.ts";
import type { TokenVerifier } from "../auth/verifier.ts";
import { type Bus, type BusMessage, EphemeralKind, type EphemeralMessage, subjects } from "../bus/bus.ts";
import { failPoint } from "../fail-points.ts";
import { tellBehind } from "../live/behind.ts";
import { createCatchUp } from "../live/catch-up.ts";
import { Cursors } from "../live/cursors.ts";
import { Delivery } from "../live/delivery.ts";
import { drain, draining, endExpired, endLoggedOut, endReplaced } from "../live/endings.ts";
import { cursorAt, type EventInit, encodeEvent } from "../live/frames.ts";
import { Hub } from "../live/hub.ts";
import { createJoiner } from "../live/joiner.ts";
import { keepFrames } from "../live/kept-frames.ts";
import { Logouts } from "../live/logouts.ts";
import { Presences } from "../live/presences.ts";
import { createPublisher } from "../live/publisher.ts";
import { Session } from "../live/session.ts";
import { Tail } from "../live/tail.ts";
import { WakeQueue } from "../live/wake-queue.ts";
import type { Caller } from "../model/caller.ts";
import { ChatError, ErrorReason } from "../model/errors.ts";
import type { Logger } from "../model/logger.ts";
import type { LogoutRecord } from "../model/records.ts";
import type { Store } from "../store/store.ts";
import { Admission } from "./admission.ts";
import { ClockWatch } from "./clock-watch.ts";
import { Conversations } from "./conversations.ts";
import { Groups } from "./groups.ts";
import { History } from "./history.ts";
import { type ChatLimits, limitsMessage } from "./limits.ts";
import { Logins } from "./logins.ts";
import { PageTokens } from "./page-tokens.ts";
import { defaultUserRates, RateLimits, type UserRate } from "./rate-limits.ts";
import { createSends, type Sends } from "./sends.ts";
import { StoredBytes } from "./stored-bytes.ts";

const sweepMs = 1_000;

/** What the chat is made of. It closes none of it. */
export interface ChatParts {
  store: Store;
  bus: Bus;
  verifier: TokenVerifier;
  limits: ChatLimits;
  log: Logger;
  /** Names this node among those that share the store; a random id. */
  instanceId: string;
}

/**
 * The chat: its rules, and who is connected to this node. It knows the
 * contract's messages but nothing of gRPC; `rpc/` puts it on the wire.
 */
export class Chat {
  readonly limits: ChatLimits;
  readonly logins: Logins;
  readonly sends: Sends;
  readonly groups: Groups;
  readonly conversations: Conversations;
  readonly history: History;
  readonly presences: Presences;
  /** How often users may do things. Whoever carries their calls asks; calls of the host itself are not counted. */
  readonly rates: RateLimits<UserRate>;
  /** How many bytes of messages users have stored. Whoever carries their sends counts and asks, as with `rates`. */
  readonly storedBytes: StoredBytes;
  readonly hub: Hub;

  readonly #store: Store;
  readonly #bus: Bus;
  readonly #log: Logger;
  readonly #clock: ClockWatch;
  readonly #cursors: Cursors;
  readonly #logouts: Logouts;
  readonly #tail: Tail;
  readonly #catchUp: (session: Session) => Promise<void>;
  readonly #join = createJoiner();
  readonly #wakeQueue = new WakeQueue();
  readonly #admission: Admission;
  readonly #sweeper: NodeJS.Timeout;
  /** Ends what the store and the bus were asked to call. */
  readonly #letGo: () => void;
  #draining = false;
  /** How often `drain` was called. */
  #drains = 0;

  private constructor(parts: ChatParts, lastPosition: number, lastLogoutId: number, lastTimeMs: number) {
    const { store, bus, verifier, limits, log, instanceId } = parts;
    this.#store = store;
    this.#bus = bus;
    this.#log = log;
    this.#clock = new ClockWatch(log);
    this.#clock.saw(lastTimeMs);
    this.limits = limits;
    this.#admission = new Admission(limits.maxNewSessionsPerSecond);
    const frame = createLogFramer(store.epoch, store.salt);
    const pages = new PageTokens(`${store.epoch}/${store.salt}`);
    const onMessage = (message: BusMessage) => this.#receive(message);

    this.hub = new Hub(store, bus, {
      onMessage,
      onUserCame: (userId) => this.presences.came(userId),
      onUserGone: (userId, { drained }) => this.presences.went(userId, drained),
    });
    const delivery = new Delivery(this.hub, (sessions) => this.presences.lookAgain(sessions));
    this.#tail = new Tail({
      store,
      frame,
      seen: lastPosition,
      connected: () => bus.connected,
      concernsSubjects: (all) => this.hub.listensTo(all),
      concerns: (event) => delivery.concerns(event),
      deliver: (message) => delivery.deliver(message),
      onError: (err) => log.warn({ err }, "the log's tail could not be read"),
    });
    this.#logouts = new Logouts(
      store,
      lastLogoutId,
      (logout) => this.#endLoggedOut(logout),
      (err) => log.warn({ err }, "logouts could not be read"),
    );
    this.#cursors = new Cursors(store, () => this.#tail.seen, limits.maxDevicesPerUser);
    this.#catchUp = createCatchUp(store, keepFrames(frame));
    this.logins = new Logins(store, verifier, limits);
    this.sends = createSends(store, limits.maxContentBytes);
    this.groups = new Groups(store, pages, limits);
    this.conversations = new Conversations(store, bus, pages, limits.maxAnswerBytes);
    this.history = new History(store, this.groups, pages, limits.maxAnswerBytes);
    this.presences = new Presences(store, bus, this.hub, instanceId, limits.presenceVisibility);
    this.rates = new RateLimits<UserRate>(defaultUserRates, limits);
    this.storedBytes = new StoredBytes(store, limits.maxStoredBytesPerUser);

    const publish = createPublisher(bus, frame);
    const endings = [
      store.onAppended((events) => {
        this.#clock.saw(events.at(-1)?.acceptTimeMs ?? 0);
        if (!failPoint("publish")) publish(events);
      }),
      bus.subscribe(subjects.log, onMessage),
      bus.subscribe(subjects.nodes, onMessage),
      bus.onReset(() => {
        this.#readMissed();
        this.presences.ask();
      }),
      bus.onDoubt?.(() => {
        this.#tail.doubt();
        this.#logouts.doubt();
      }),
    ];
    this.#letGo = () => {
      for (const end of endings) end?.();
      this.#tail.close();
      this.#logouts.close();
    };
    this.#tail.start();
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs);
  }

  /** Names the incarnation of the log; see `Cursor.epoch`. */
  get epoch(): string {
    return this.#store.epoch;
  }

  /** Builds a chat on its parts. */
  static async create(parts: ChatParts): Promise<Chat> {
    const { store } = parts;
    const lastPosition = await store.lastPosition();
    const last = await store.readPosition(lastPosition);
    return new Chat(parts, lastPosition, await store.lastLogoutId(), last?.acceptTimeMs ?? 0);
  }

  /**
   * Opens a session. Its outbox begins with `opened`; what the device missed
   * and what happens from now on follows. The caller has to call
   * `closeSession` in the end.
   *
   * @param kill ends the call when its reader does not take the end of the session
   * @param signal aborts when the caller has gone: then its device's other session is left as it is
   * @throws ChatError CURSOR_OF_ANOTHER_EPOCH, CURSOR_IN_FUTURE, SERVER_DRAINING, TOO_MANY_SESSIONS,
   *   TOO_MANY_NEW_SESSIONS, QUOTA_EXCEEDED
   */
  async openSession(
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
      this.limits.maxDevicesPerUser,
    );
    const left = named ?? this.#cursors.load(userId, deviceId, device.position);
    const start = left ?? (await this.#store.firstUnreadPosition(userId));
    // Nothing waits from here until the session is added: so those that come at once are all counted.
    this.#checkStreams(userId, deviceId);

    const session = new Session({
      caller: { ...caller, platform: caller.platform || device.platform },
      opens: device.opens,
      outboxMaxBytes: this.limits.outboxMaxBytes,
      // Spread, so that those who came together do not go together.
      maxAgeMs: this.limits.sessionMaxAgeMs * (0.9 + Math.random() * 0.2),
      kinds: (open?.eventKinds ?? []).reduce((bits, kind) => bits | (1 << kind), 0),
      catchUp: this.#catchUp,
      join: this.#join,
      wakeQueue: this.#wakeQueue,
      kill,
      onTaken: open?.autoAck ? (position) => this.#cursors.raise(caller, position) : undefined,
    });
    signal.throwIfAborted();
    this.#bus.publish(subjects.user(userId), { type: "opened", userId, deviceId, opens: device.opens });
    // One that opened later may have been faster.
    if (this.#sessionsOf(userId, deviceId).some((other) => other.opens > device.opens)) endReplaced(session);
    try {
      await this.hub.add(session);
      // From here on a logout finds the session; one that came before has to be found now.
      this.logins.checkStands(caller);
      const limit = open?.replayLimit ?? this.limits.replayLimit;
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
              limits: limitsMessage(this.limits),
            },
          },
          requestId,
        ),
      );
      if (session.untold !== undefined) await tellBehind(this.#store, session, session.untold);
    } catch (error) {
      this.closeSession(session);
      throw error;
    }
    if (this.#draining) drain(session, 0);
    return session;
  }

  /** Forgets a session whose call is over; a second time does nothing. */
  closeSession(session: Session): void {
    session.outbox.discard();
    this.hub.remove(session);
    this.presences.unwatch(session);
  }

  /** Moves the cursor of a caller's device. @throws ChatError CURSOR_OF_ANOTHER_EPOCH, CURSOR_IN_FUTURE */
  async ack(cursor: Cursor, caller: Caller): Promise<Cursor> {
    return cursorAt(this.#store.epoch, await this.#cursors.ack(caller, cursor));
  }

  /** Tells others that a caller types. @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_MUTED, GROUP_MUTED */
  async setTyping({ target, typing }: SetTypingRequest, { userId }: Caller): Promise<void> {
    const id = target.value ?? "";
    const isGroup = target.case === "groupId";
    if (isGroup) await this.groups.requireSpeaker(id, userId, "show typing to the group");
    const conversationId = isGroup ? groupConversationId(id) : directConversationId(userId, id);
    this.#bus.publish(isGroup ? subjects.group(id) : subjects.user(id), {
      type: "ephemeral",
      kind: EphemeralKind.TYPING,
      target: isGroup ? "group" : "user",
      id,
      exceptUserId: userId,
      frame: encodeEvent({ case: "typing", value: { conversationId, userId, typing } }),
    });
  }

  /** The answer to a ping. */
  pong(): EventInit {
    return { case: "pong", value: { serverTime: timestampNow() } };
  }

  /**
   * Ends the sessions of a caller's device, or of all their devices: tokens
   * and streams.
   *
   * @returns how many streams of this node it ended
   */
  async logout(caller: Caller, allDevices: boolean): Promise<number> {
    const { userId } = caller;
    const deviceId = allDevices ? undefined : caller.deviceId;
    await this.logins.untilRefusable(caller);
    const id = await this.#store.deleteSessions(userId, deviceId);
    const sessions = this.#sessionsOf(userId, deviceId);
    const message = { type: "logout", id, userId, ...(deviceId !== undefined && { deviceId }) } as const;
    this.#bus.publish(subjects.nodes, message);
    return sessions.length;
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
    const { sessions } = this.hub;
    this.#log.info({ sessions: sessions.size, sessionsPerSecond }, "draining");
    const waiting = [...sessions];
    const perMs = Math.max(sessionsPerSecond / 1000, waiting.length / Math.max(1, graceMs / 2));
    const startMs = performance.now();
    let asked = 0;
    for (;;) {
      const elapsedMs = performance.now() - startMs;
      const due = sessionsPerSecond === 0 ? waiting.length : Math.floor(elapsedMs * perMs) + 1;
      for (const session of waiting.slice(asked, round === this.#drains ? due : asked))
        drain(session, Math.max(0, Math.round(graceMs - elapsedMs)));
      asked = due;
      if (sessions.size === 0 || elapsedMs >= graceMs) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Stops timers and writes what was kept in memory. Sessions should be gone by then. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    this.#letGo();
    // Counts are no promise: without a store to tell them to, a server stops all the same.
    const counts = this.storedBytes
      .flush(true)
      .catch((err) => this.#log.warn({ err }, "stored bytes could not be saved"));
    await Promise.all([this.#cursors.flush(), this.presences.flush(), counts]);
  }

  #admit(): void {
    if (this.#draining) throw draining();
    const { maxSessions, maxNewSessionsPerSecond } = this.limits;
    if (this.hub.sessions.size >= maxSessions) {
      const description = `this server takes at most ${maxSessions} sessions`;
      throw tooMany(ErrorReason.TOO_MANY_SESSIONS, description, 5_000);
    }
    const waitMs = this.#admission.enter();
    if (waitMs === undefined) return;
    const description = `this server opens at most ${maxNewSessionsPerSecond} sessions a second`;
    throw tooMany(ErrorReason.TOO_MANY_NEW_SESSIONS, description, waitMs);
  }

  /** Counts the streams of a user's other devices: one of the same device gives way. @throws ChatError QUOTA_EXCEEDED */
  #checkStreams(userId: string, deviceId: string): void {
    const { maxStreamsPerUser } = this.limits;
    const sessions = this.hub.sessionsOfUser(userId);
    if (maxStreamsPerUser === 0 || sessions.size < maxStreamsPerUser) return;
    const others = [...sessions].filter(({ caller, ending }) => caller.deviceId !== deviceId && !ending);
    if (others.length < maxStreamsPerUser) return;
    const description = `maxStreamsPerUser: at most ${maxStreamsPerUser} streams of a user at a time`;
    throw new ChatError(ErrorReason.QUOTA_EXCEEDED, `${description}; close one first`, {
      quota: { subject: `user:${userId}`, description },
    });
  }

  #sessionsOf(userId: string, deviceId: string | undefined): Session[] {
    const sessions = [...this.hub.sessionsOfUser(userId)];
    return deviceId === undefined
      ? sessions
      : sessions.filter((session) => session.caller.deviceId === deviceId);
  }

  #receive(message: BusMessage): BusMessage | undefined {
    switch (message.type) {
      case "log":
        this.#tail.accept(message);
        return undefined;
      case "notice":
        this.#tail.notice(message);
        return undefined;
      case "ephemeral":
        this.#deliverEphemeral(message);
        return undefined;
      case "opened":
        for (const session of this.#sessionsOf(message.userId, message.deviceId))
          if (session.opens < message.opens) endReplaced(session);
        return undefined;
      case "logout":
        this.#logouts.accept(message);
        return undefined;
      case "presenceQuery":
        this.presences.answer(message.userIds);
        // A node that asks on a user's subject waits for this one.
        return this.presences.messageOf(message.userIds[0] ?? "");
      default:
        return undefined;
    }
  }

  #deliverEphemeral(message: EphemeralMessage): void {
    const { target, id } = message;
    const sessions = target === "user" ? this.hub.sessionsOfUser(id) : this.hub.sessionsOfGroup(id);
    for (const session of sessions) {
      if (session.caller.userId !== message.exceptUserId) session.deliverEphemeral(message);
    }
  }

  #endLoggedOut({ userId, deviceId }: LogoutRecord): void {
    this.logins.forget(userId, deviceId);
    for (const session of this.#sessionsOf(userId, deviceId)) endLoggedOut(session);
  }

  /** Does, once a second, what no event asks for. */
  #sweep(): void {
    failPoint("event-loop");
    this.#clock.check();
    const now = Date.now();
    const monotonicNow = performance.now();
    for (const session of this.hub.sessions) {
      if (session.ending) session.killIfStuck(monotonicNow, draining);
      else if (session.caller.expireTimeMs <= now) endExpired(session);
      else if (monotonicNow - session.openTimeMs > session.maxAgeMs) drain(session, 0);
    }
    this.#background("cursors could not be saved", this.#cursors.flush());
    this.#background("presence could not be saved", this.presences.sweep());
    this.#background("stored bytes could not be saved", this.storedBytes.flush());
    this.#background("logouts could not be read", this.#logouts.read());
  }

  /** Reads what other nodes may have done unheard. */
  #readMissed(): void {
    this.#background("the log's tail could not be read", this.#tail.read());
    this.#background("logouts could not be read", this.#logouts.read());
  }

  #background(message: string, work: Promise<unknown>): void {
    work.catch((error) => this.#log.warn({ err: error }, message));
  }
}

function tooMany(reason: ErrorReason, description: string, retryAfterMs: number): ChatError {
  return new ChatError(reason, description, { quota: { subject: "server", description }, retryAfterMs });
}
