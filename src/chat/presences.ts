import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Presence, PresenceSchema } from "../../gen/parlance/chat/v1/presence_pb.js";
import type {
  GetPresenceRequest,
  WatchPresenceRequest,
} from "../../gen/parlance/chat/v1/presence_service_pb.js";
import { type Bus, type BusHandler, EphemeralKind, subjects } from "../bus/bus.ts";
import type { Store } from "../store/store.ts";
import { encodeEvent } from "./frames.ts";
import type { Hub } from "./hub.ts";
import type { Session } from "./session.ts";

/** Who watches a user from this node. */
interface Watch {
  readonly sessions: Set<Session>;
  readonly unsubscribe: () => void;
}

/** When a user's last session went. */
interface Going {
  /** On the monotonic clock: nobody is shown online for longer because the clock was set back. */
  monotonicMs: number;
  /** In milliseconds since 1970. */
  timeMs: number;
}

/** How long a user may be gone without anyone being told. */
const graceMs = 1_000;
const none: ReadonlySet<Session> = new Set();

/**
 * Knows who is connected, and tells those who watch. Coming is told at once.
 * Going is told at the next `sweep`, if the user has not come back by then, so
 * that a reconnect does not flicker.
 */
export class Presences {
  readonly #store: Store;
  readonly #bus: Bus;
  readonly #hub: Hub;
  readonly #onMessage: BusHandler;
  readonly #watches = new Map<string, Watch>();
  /** Users who were told to be online. */
  readonly #online = new Set<string>();
  /** Users whose last session went since the sweep before the last. */
  readonly #gone = new Map<string, Going>();
  /** Users whose last activity the store does not know yet. */
  #lastActive = new Map<string, number>();

  /** @param onMessage gets what arrives on the subjects of watched users */
  constructor(store: Store, bus: Bus, hub: Hub, onMessage: BusHandler) {
    this.#store = store;
    this.#bus = bus;
    this.#hub = hub;
    this.#onMessage = onMessage;
  }

  /** Returns the presence of users, in the order asked. */
  async getPresence({ userIds }: Pick<GetPresenceRequest, "userIds">): Promise<{ presences: Presence[] }> {
    const away = userIds.filter((userId) => this.#hub.sessionsOfUser(userId).size === 0);
    const stored = away.length > 0 ? await this.#store.getLastActive(away) : new Map<string, number>();
    return { presences: userIds.map((userId) => this.#presenceOf(userId, stored)) };
  }

  /**
   * Watches users for a session, in place of those it watched before, and
   * sends it their present state.
   */
  async watch(session: Session, request: WatchPresenceRequest): Promise<void> {
    const userIds = new Set(request.userIds);
    // Of a session that was closed already, nothing would end the watching.
    if (session.outbox.ended) return;
    this.unwatch(session);
    session.watched = userIds;
    for (const userId of userIds) this.#watch(userId, session);
    const { presences } = await this.getPresence({ userIds: [...userIds] });
    for (const presence of presences) {
      if (!session.watched.has(presence.userId)) continue;
      // Who went just now may be back before anyone is told: then nobody would tell this one either.
      if (this.#online.has(presence.userId)) presence.online = true;
      session.reply(encodeEvent({ case: "presence", value: presence }));
    }
  }

  /** Ends a session's watching. */
  unwatch(session: Session): void {
    for (const userId of session.watched) {
      const watch = this.#watches.get(userId);
      if (watch === undefined) continue;
      watch.sessions.delete(session);
      if (watch.sessions.size === 0) {
        this.#watches.delete(userId);
        watch.unsubscribe();
      }
    }
    session.watched = new Set();
  }

  /** The sessions of this node that watch a user. */
  watchersOf(userId: string): ReadonlySet<Session> {
    return this.#watches.get(userId)?.sessions ?? none;
  }

  /** Notes that a user's first session came. */
  came(userId: string): void {
    this.#gone.delete(userId);
    if (this.#online.has(userId)) return;
    // Kept at once, in case the server does not live to see the user go.
    this.#lastActive.set(userId, Date.now());
    this.#online.add(userId);
    this.#publish(userId);
  }

  /** Notes that a user's last session went. */
  went(userId: string): void {
    const timeMs = Date.now();
    this.#gone.set(userId, { monotonicMs: performance.now(), timeMs });
    this.#lastActive.set(userId, timeMs);
  }

  /** Tells who went at least a second ago, and keeps when users were last active. Called every second. */
  async sweep(): Promise<void> {
    const before = performance.now() - graceMs;
    for (const [userId, { monotonicMs, timeMs }] of this.#gone) {
      if (monotonicMs > before) continue;
      this.#gone.delete(userId);
      this.#online.delete(userId);
      this.#publish(userId, new Map([[userId, timeMs]]));
    }
    await this.flush();
  }

  /** Writes when users were last active to the store. */
  async flush(): Promise<void> {
    if (this.#lastActive.size === 0) return;
    const entries = this.#lastActive;
    this.#lastActive = new Map();
    try {
      await this.#store.setLastActive([...entries].map(([userId, timeMs]) => ({ userId, timeMs })));
    } catch (error) {
      this.#lastActive = new Map([...entries, ...this.#lastActive]);
      throw error;
    }
  }

  #watch(userId: string, session: Session): void {
    let watch = this.#watches.get(userId);
    if (watch === undefined) {
      watch = {
        sessions: new Set(),
        unsubscribe: this.#bus.subscribe(subjects.presence(userId), this.#onMessage),
      };
      this.#watches.set(userId, watch);
    }
    watch.sessions.add(session);
  }

  #publish(userId: string, lastActive: ReadonlyMap<string, number> = this.#lastActive): void {
    this.#bus.publish(subjects.presence(userId), {
      type: "ephemeral",
      kind: EphemeralKind.PRESENCE,
      target: "watchers",
      id: userId,
      frame: encodeEvent({ case: "presence", value: this.#presenceOf(userId, lastActive) }),
    });
  }

  #presenceOf(userId: string, lastActive: ReadonlyMap<string, number>): Presence {
    const sessions = this.#hub.sessionsOfUser(userId);
    const timeMs = sessions.size > 0 ? Date.now() : (this.#lastActive.get(userId) ?? lastActive.get(userId));
    return create(PresenceSchema, {
      userId,
      online: sessions.size > 0,
      platforms: [...sessions].map((session) => session.caller.platform),
      ...(timeMs !== undefined && { lastActiveTime: timestampFromMs(timeMs) }),
    });
  }
}
