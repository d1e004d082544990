import { timestampNow } from "@bufbuild/protobuf/wkt";
import type { SetTypingRequest } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { Cursor } from "../../gen/parlance/chat/v1/cursor_pb.js";
import type { Open } from "../../gen/parlance/chat/v1/event_pb.js";
import type { TokenVerifier } from "../auth/verifier.ts";
import { type Bus, type BusMessage, EphemeralKind, subjects } from "../bus/bus.ts";
import { ChatError, ErrorReason } from "../errors.ts";
import { failPoint } from "../fail-points.ts";
import type { Store } from "../store/store.ts";
import { Admission } from "./admission.ts";
import type { Caller } from "./caller.ts";
import { createCatchUp } from "./catch-up.ts";
import { Conversations } from "./conversations.ts";
import { Cursors } from "./cursors.ts";
import { drain, draining, endExpired, endLoggedOut, endReplaced } from "./endings.ts";
import { Feeds } from "./feeds.ts";
import { cursorAt, type EventInit, encodeEvent } from "./frames.ts";
import { Groups } from "./groups.ts";
import { History } from "./history.ts";
import { Hub } from "./hub.ts";
import { directConversationId, groupConversationId } from "./ids.ts";
import { keepFrames } from "./kept-frames.ts";
import { type ChatLimits, limitsMessage } from "./limits.ts";
import { createLogFramer } from "./log-frame.ts";
import type { Logger } from "./logger.ts";
import { Logins } from "./logins.ts";
import { PageTokens } from "./page-tokens.ts";
import { Presences } from "./presences.ts";
import { createPublisher } from "./publisher.ts";
import { createSends, type Sends } from "./sends.ts";
import { Session } from "./session.ts";
import { TailFollower } from "./tail-follower.ts";
import { WakeQueue } from "./wake-queue.ts";

const sweepMs = 1_000;

/** What the chat is made of. It closes none of it. */
export interface ChatParts {
  store: Store;
  bus: Bus;
  verifier: TokenVerifier;
  limits: ChatLimits;
  log: Logger;
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
  readonly hub: Hub;

  readonly #store: Store;
  readonly #bus: Bus;
  readonly #log: Logger;
  readonly #cursors: Cursors;
  readonly #feeds: Feeds;
  readonly #tail: TailFollower;
  readonly #catchUp: (session: Session) => Promise<void>;
  readonly #wakeQueue = new WakeQueue();
  readonly #admission: Admission;
  readonly #sweeper: NodeJS.Timeout;
  /** Ends what the store and the bus were asked to call. */
  readonly #letGo: () => void;
  #draining = false;

  private constructor({ store, bus, verifier, limits, log }: ChatParts, lastPosition: number) {
    this.#store = store;
    this.#bus = bus;
    this.#log = log;
    this.limits = limits;
    this.#admission = new Admission(limits.maxNewSessionsPerSecond);
    const frame = keepFrames(createLogFramer(store.epoch, store.salt));
    const pages = new PageTokens(`${store.epoch}/${store.salt}`);
    const onMessage = (message: BusMessage) => this.#receive(message);

    this.hub = new Hub(store, bus, {
      onMessage,
      onUserCame: (userId) => this.presences.came(userId),
      onUserGone: (userId) => {
        this.presences.went(userId);
        this.#feeds.forgetUser(userId);
      },
      onGroupGone: (groupId) => this.#feeds.forgetGroup(groupId),
    });
    this.#feeds = new Feeds(store, frame, this.hub, log);
    this.#tail = new TailFollower(store, frame, lastPosition, (message) => this.#feeds.accept(message));
    this.#cursors = new Cursors(store, () => this.#tail.seen);
    this.#catchUp = createCatchUp(store, frame);
    this.logins = new Logins(store, verifier, limits);
    this.sends = createSends(store, limits.maxContentBytes);
    this.groups = new Groups(store, pages, limits.maxGroupMembers);
    this.conversations = new Conversations(store, bus, pages);
    this.history = new History(store, this.groups, pages);
    this.presences = new Presences(store, bus, this.hub, onMessage);

    const publish = createPublisher(bus, frame);
    const stopPublishing = store.onAppended((event) => {
      if (failPoint("publish")) return;
      publish(event);
      this.#tail.note(event.position);
    });
    const stopWatching = bus.onReset(() =>
      this.#background("the log's tail could not be read", this.#tail.read()),
    );
    this.#letGo = () => {
      stopPublishing();
      stopWatching();
    };
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs);
  }

  /** Names the incarnation of the log; see `Cursor.epoch`. */
  get epoch(): string {
    return this.#store.epoch;
  }

  /** Builds a chat on its parts. */
  static async create(parts: ChatParts): Promise<Chat> {
    return new Chat(parts, await parts.store.lastPosition());
  }

  /**
   * Opens a session. Its outbox begins with `opened`; what the device missed
   * and what happens from now on follows. The caller has to call
   * `closeSession` in the end.
   *
   * @param kill ends the call when its reader does not take the end of the session
   * @throws ChatError CURSOR_OF_ANOTHER_EPOCH, CURSOR_IN_FUTURE, SERVER_DRAINING, TOO_MANY_SESSIONS,
   *   TOO_MANY_NEW_SESSIONS
   */
  async openSession(
    caller: Caller,
    open: Open | undefined,
    requestId: string,
    kill: (error: ChatError) => void,
  ): Promise<Session> {
    this.#admit();
    const { userId, deviceId } = caller;
    const named = open?.resumeFrom && (await this.#cursors.check(open.resumeFrom));
    const device = await this.#store.openDevice(userId, deviceId, caller.platform, "");
    const left = named ?? this.#cursors.load(userId, deviceId, device.position);
    const start = left ?? (await this.#store.firstUnreadPosition(userId));

    const session = new Session({
      caller: { ...caller, platform: caller.platform || device.platform },
      outboxMaxBytes: this.limits.outboxMaxBytes,
      // Spread, so that those who came together do not go together.
      maxAgeMs: this.limits.sessionMaxAgeMs * (0.9 + Math.random() * 0.2),
      kinds: (open?.eventKinds ?? []).reduce((bits, kind) => bits | (1 << kind), 0),
      catchUp: this.#catchUp,
      wakeQueue: this.#wakeQueue,
      kill,
      onTaken: open?.autoAck ? (position) => this.#cursors.raise(caller, position) : undefined,
    });
    for (const other of this.hub.sessionsOfUser(userId))
      if (other.caller.deviceId === deviceId) endReplaced(other);
    try {
      await this.hub.add(session);
      // From here on a logout finds the session; one that came before has to be found now.
      this.logins.checkStands(caller);
      const limit = open?.replayLimit ?? this.limits.replayLimit;
      const missed = await this.#store.countMissed(userId, start, limit);
      const isBehind = missed.count > limit;
      session.startAfter(isBehind ? missed.through : start);
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
      if (isBehind) {
        const lastSeqs = Object.fromEntries([...missed.lastSeqs].map(([id, seq]) => [id, BigInt(seq)]));
        session.reply(
          encodeEvent({ case: "behind", value: { lastSeqs, cursor: cursorAt(epoch, missed.through) } }),
        );
      }
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

  /** Tells others that a caller types. @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER */
  async setTyping({ target, typing }: SetTypingRequest, { userId }: Caller): Promise<void> {
    const id = target.value ?? "";
    const isGroup = target.case === "groupId";
    if (isGroup && !this.hub.isMember(userId, id)) await this.groups.requireMember(id, userId);
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
    await this.logins.logout(caller, allDevices);
    const sessions = this.#sessionsOf(caller.userId, allDevices ? undefined : caller.deviceId);
    this.#bus.publish(subjects.user(caller.userId), {
      type: "logout",
      userId: caller.userId,
      ...(!allDevices && { deviceId: caller.deviceId }),
    });
    return sessions.length;
  }

  /** Asks every session to reconnect and takes no new ones. Resolves when all are gone or the grace time is over. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    const { sessions } = this.hub;
    this.#log.info({ sessions: sessions.size }, "draining");
    for (const session of sessions) drain(session, graceMs);
    const deadline = performance.now() + graceMs;
    while (sessions.size > 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 10));
  }

  /** Stops timers and writes what was kept in memory. Sessions should be gone by then. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    this.#letGo();
    await Promise.all([this.#cursors.flush(), this.presences.flush()]);
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

  #sessionsOf(userId: string, deviceId: string | undefined): Session[] {
    const sessions = [...this.hub.sessionsOfUser(userId)];
    return deviceId === undefined
      ? sessions
      : sessions.filter((session) => session.caller.deviceId === deviceId);
  }

  #receive(message: BusMessage): void {
    if (message.type === "log") {
      this.#feeds.accept(message);
    } else if (message.type === "logout") {
      this.logins.forget(message.userId, message.deviceId);
      for (const session of this.#sessionsOf(message.userId, message.deviceId)) endLoggedOut(session);
    } else {
      const { target, id } = message;
      const sessions =
        target === "user"
          ? this.hub.sessionsOfUser(id)
          : target === "group"
            ? this.hub.sessionsOfGroup(id)
            : this.presences.watchersOf(id);
      for (const session of sessions) {
        if (session.caller.userId !== message.exceptUserId) session.deliverEphemeral(message);
      }
    }
  }

  /** Does, once a second, what no event asks for. */
  #sweep(): void {
    failPoint("event-loop");
    const now = Date.now();
    const monotonicNow = performance.now();
    for (const session of this.hub.sessions) {
      if (session.ending) session.killIfStuck(monotonicNow, draining);
      else if (session.caller.expireTimeMs <= now) endExpired(session);
      else if (monotonicNow - session.openTimeMs > session.maxAgeMs) drain(session, 0);
    }
    this.#background("cursors could not be saved", this.#cursors.flush());
    this.#background("presence could not be saved", this.presences.sweep());
    this.#background("the log's tail could not be read", this.#tail.read());
  }

  #background(message: string, work: Promise<void>): void {
    work.catch((error) => this.#log.warn({ err: error }, message));
  }
}

function tooMany(reason: ErrorReason, description: string, retryAfterMs: number): ChatError {
  return new ChatError(reason, description, { quota: { subject: "server", description }, retryAfterMs });
}
