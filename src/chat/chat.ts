import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Cursor } from "../../gen/parlance/chat/v1/cursor_pb.js";
import { createLogFramer } from "../../wire/event-frame.ts";
import type { TokenVerifier } from "../auth/verifier.ts";
import { type Bus, subjects } from "../bus/bus.ts";
import { failPoint } from "../fail-points.ts";
import { createCatchUp } from "../live/catch-up.ts";
import { Cursors } from "../live/cursors.ts";
import { Delivery } from "../live/delivery.ts";
import { cursorAt, type EventInit } from "../live/frames.ts";
import { Hub } from "../live/hub.ts";
import { keepFrames } from "../live/kept-frames.ts";
import { Logouts } from "../live/logouts.ts";
import { Presences } from "../live/presences.ts";
import { createPublisher } from "../live/publisher.ts";
import { createReceiver, type Receive } from "../live/receiver.ts";
import { endLoggedOut } from "../live/session-endings.ts";
import { Sessions } from "../live/sessions.ts";
import { Tail } from "../live/tail.ts";
import type { Caller } from "../model/caller.ts";
import type { Clock } from "../model/clock.ts";
import type { Logger } from "../model/logger.ts";
import type { LogoutRecord } from "../model/records.ts";
import type { Store } from "../store/store.ts";
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
import { createTyping } from "./typing.ts";

const sweepMs = 1_000;

/** The parts that a chat is built from. It closes none of them. */
export interface ChatParts {
  store: Store;
  bus: Bus;
  verifier: TokenVerifier;
  limits: ChatLimits;
  log: Logger;
  /** Names this node among those that share the store; a random id. */
  instanceId: string;
  clock: Clock;
}

/**
 * Puts the chat together: its services, and who is connected to this node. It
 * knows the contract's messages but nothing of gRPC; `rpc/` puts it on the wire.
 */
export class Chat {
  readonly limits: ChatLimits;
  readonly logins: Logins;
  readonly sends: Sends;
  readonly groups: Groups;
  readonly conversations: Conversations;
  readonly history: History;
  readonly presences: Presences;
  /** Tells others that a caller types. */
  readonly setTyping: ReturnType<typeof createTyping>;
  /** How often users may do things. Whoever carries their calls asks; calls of the host itself are not counted. */
  readonly rates: RateLimits<UserRate>;
  /** How many bytes of messages users have stored. Whoever carries their sends counts and asks, as with `rates`. */
  readonly storedBytes: StoredBytes;
  readonly hub: Hub;
  readonly sessions: Sessions;

  readonly #store: Store;
  readonly #bus: Bus;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #clockWatch: ClockWatch;
  readonly #cursors: Cursors;
  readonly #logouts: Logouts;
  readonly #tail: Tail;
  readonly #sweeper: NodeJS.Timeout;
  /** Ends what the store and the bus were asked to call. */
  readonly #letGo: () => void;

  private constructor(parts: ChatParts, lastPosition: number, lastLogoutId: number, lastTimeMs: number) {
    const { store, bus, verifier, limits, log, instanceId, clock } = parts;
    this.#store = store;
    this.#bus = bus;
    this.#log = log;
    this.#clock = clock;
    this.#clockWatch = new ClockWatch(log, clock);
    this.#clockWatch.saw(lastTimeMs);
    this.limits = limits;
    const frame = createLogFramer(store.epoch, store.salt);
    const pages = new PageTokens(`${store.epoch}/${store.salt}`);

    this.hub = new Hub(store, bus, {
      onMessage: (message) => receive(message),
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
    this.logins = new Logins(store, verifier, limits, clock);
    this.sends = createSends(store, limits.maxContentBytes);
    this.groups = new Groups(store, pages, limits, clock);
    this.conversations = new Conversations(store, bus, pages, limits.maxAnswerBytes, clock);
    this.history = new History(store, this.groups, pages, limits.maxAnswerBytes);
    this.presences = new Presences(store, bus, this.hub, {
      instanceId,
      visibility: limits.presenceVisibility,
      clock,
    });
    this.setTyping = createTyping(bus, this.groups);
    this.rates = new RateLimits<UserRate>(defaultUserRates, limits, clock);
    this.storedBytes = new StoredBytes(store, limits.maxStoredBytesPerUser);
    this.sessions = new Sessions({
      store,
      bus,
      hub: this.hub,
      cursors: this.#cursors,
      catchUp: createCatchUp(store, keepFrames(frame)),
      limits,
      toldLimits: limitsMessage(limits),
      checkStands: (caller) => this.logins.checkStands(caller),
      onClosed: (session) => this.presences.unwatch(session),
      clock,
      log,
    });
    const receive: Receive = createReceiver({
      tail: this.#tail,
      delivery,
      sessions: this.sessions,
      logouts: this.#logouts,
      presences: this.presences,
    });

    const publish = createPublisher(bus, frame);
    const endings = [
      store.onAppended((events) => {
        this.#clockWatch.saw(events.at(-1)?.acceptTimeMs ?? 0);
        if (!failPoint("publish")) publish(events);
      }),
      bus.subscribe(subjects.log, receive),
      bus.subscribe(subjects.nodes, receive),
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

  /** Moves the cursor of a caller's device. @throws ChatError CURSOR_OF_ANOTHER_EPOCH, CURSOR_IN_FUTURE */
  async ack(cursor: Cursor, caller: Caller): Promise<Cursor> {
    return cursorAt(this.#store.epoch, await this.#cursors.ack(caller, cursor));
  }

  /** The answer to a ping. */
  pong(): EventInit {
    return { case: "pong", value: { serverTime: timestampFromMs(this.#clock.now()) } };
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
    const sessions = this.sessions.of(userId, deviceId);
    const message = { type: "logout", id, userId, ...(deviceId !== undefined && { deviceId }) } as const;
    this.#bus.publish(subjects.nodes, message);
    return sessions.length;
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

  #endLoggedOut({ userId, deviceId }: LogoutRecord): void {
    this.logins.forget(userId, deviceId);
    for (const session of this.sessions.of(userId, deviceId)) endLoggedOut(session);
  }

  /** Does, once a second, what no event asks for. */
  #sweep(): void {
    failPoint("event-loop");
    this.#clockWatch.check();
    this.sessions.sweep();
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
