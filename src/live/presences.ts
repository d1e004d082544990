import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Presence, PresenceSchema } from "../../gen/parlance/chat/v1/presence_pb.js";
import type {
  GetPresenceRequest,
  PresenceService,
  WatchPresenceRequest,
} from "../../gen/parlance/chat/v1/presence_service_pb.js";
import { type Bus, EphemeralKind, type PresenceMessage, subjects } from "../bus/bus.ts";
import type { Caller } from "../model/caller.ts";
import type { Clock } from "../model/clock.ts";
import type { Handlers } from "../model/handlers.ts";
import type { ConversationStore } from "../store/ports/conversations.ts";
import type { UserStore } from "../store/ports/users.ts";
import { encodeEvent } from "./frames.ts";
import type { Hub } from "./hub.ts";
import { createFindVisible, type FindVisible, type PresenceVisibility } from "./presence-visibility.ts";
import { RemotePresences } from "./remote-presences.ts";
import type { Session } from "./session.ts";

/** The sessions of this node that watch a user. */
interface Watch {
  readonly sessions: Set<Session>;
  readonly unsubscribe: () => void;
  /** The last thing they were told: whether the user is online, and where. */
  told: string;
}

/** The options of presences. */
export interface PresencesOptions {
  /** Names this node among all. */
  instanceId: string;
  /** The rule of who sees whom. */
  visibility: PresenceVisibility;
  clock: Clock;
}

/** A user whose last session went. */
interface Going {
  /** When others are told, on the monotonic clock: nobody stays online for longer because the clock was set back. */
  tellMs: number;
  /** When the session went, in milliseconds since 1970. */
  timeMs: number;
}

/** How long a user may be gone without anyone being told. */
const graceMs = 1_000;
/** The same where the server asked the session to reconnect, which takes a moment. */
const drainedGraceMs = 5_000;
/** How often other nodes are asked where watched users are. */
const askMs = 4_000;
/** Users per such question. */
const askUsers = 500;
/** How long to wait for nodes that a user seems to be connected to, and for a second one. */
const answerMs = { maxMs: 300, quietMs: 20 };
/** How many sessions are looked at again in a sweep, as others may be visible to them than before. */
const maxLooks = 200;
/** A sweep that comes later than this shows that this node was held up and could not hear. */
const heldUpMs = 3_000;

/**
 * Knows who is connected, and tells those who watch. Coming is told at once.
 * Going is told a second later, if the user has not come back by then, to this
 * node or another, so that a reconnect does not flicker.
 *
 * Who may not see a user is told what is told of somebody who never came.
 *
 * Each node tells the others of its own users. What watchers are told is made
 * of that and of who is connected here.
 */
export class Presences implements Handlers<typeof PresenceService> {
  readonly #store: UserStore & ConversationStore;
  readonly #bus: Bus;
  readonly #hub: Hub;
  readonly #instanceId: string;
  readonly #clock: Clock;
  readonly #findVisible: FindVisible;
  /** Whether who is visible to whom depends on the conversations they are in. */
  readonly #isShared: boolean;
  readonly #watches = new Map<string, Watch>();
  readonly #remote = new RemotePresences();
  /** Users of this node who were told to be online. */
  readonly #online = new Set<string>();
  /** Those of them whose last session here went. */
  readonly #gone = new Map<string, Going>();
  /** Users whose last activity the store does not know yet. */
  #lastActive = new Map<string, number>();
  /** Sessions that watch, and may see others now than when they were last looked at. */
  readonly #outdated = new Set<Session>();
  #sweptMs: number;
  #askedMs: number;
  /** While this node asks the others: it hears itself, too. */
  #asking = false;

  constructor(store: UserStore & ConversationStore, bus: Bus, hub: Hub, options: PresencesOptions) {
    const { instanceId, visibility, clock } = options;
    this.#clock = clock;
    this.#sweptMs = clock.monotonic();
    this.#askedMs = clock.monotonic();
    this.#findVisible = createFindVisible(store, visibility);
    this.#isShared = visibility === "shared";
    this.#store = store;
    this.#bus = bus;
    this.#hub = hub;
    this.#instanceId = instanceId;
  }

  /** Returns the presence of users as the caller may see it, in the order asked. */
  async getPresence(
    { userIds }: Pick<GetPresenceRequest, "userIds">,
    { userId: viewerId }: Pick<Caller, "userId">,
  ): Promise<{ presences: Presence[] }> {
    const visible = await this.#findVisible(viewerId, userIds);
    const presences = await this.#presencesOf(userIds.filter((userId) => visible.has(userId)));
    return { presences: userIds.map((userId) => presences.get(userId) ?? unseen(userId)) };
  }

  async #presencesOf(userIds: readonly string[]): Promise<Map<string, Presence>> {
    const away = userIds.filter((userId) => this.#hub.sessionsOfUser(userId).size === 0);
    if (away.length === 0) return new Map(userIds.map((userId) => [userId, this.#presenceOf(userId)]));
    const [stored, elsewhere] = await Promise.all([
      this.#store.getLastActive(away),
      Promise.all(userIds.map((userId) => this.#askFor(userId))),
    ]);
    // Of those who are watched, what came while answers were waited for is known, too, and comes no more.
    const platformsOf = (userId: string, i: number) =>
      this.#watches.has(userId) ? this.#remote.platformsOf(userId) : elsewhere[i];
    return new Map(
      userIds.map((userId, i) => [userId, this.#presenceOf(userId, stored, platformsOf(userId, i))]),
    );
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
    await this.#look(session, true);
  }

  /** Notes that sessions may see others than before, as conversations began or memberships changed. */
  lookAgain(sessions: Iterable<Session>): void {
    if (!this.#isShared) return;
    for (const session of sessions) if (session.watched.size > 0) this.#outdated.add(session);
  }

  /**
   * Has a session watch those it asked for and may see, and tells it of those
   * of whom that was not so before, and of those it may see no more.
   *
   * @param isFirst whether it has to be told of all it asked for
   */
  async #look(session: Session, isFirst: boolean): Promise<void> {
    const asked = session.watched;
    if (asked.size === 0) return;
    const visible = await this.#findVisible(session.caller.userId, [...asked]);
    // Meanwhile it may have asked for others, or be closed.
    if (session.watched !== asked) return;
    const sees = (userId: string) => this.#watches.get(userId)?.sessions.has(session) ?? false;
    const news = [...asked].filter((userId) => isFirst || visible.has(userId) !== sees(userId));
    for (const userId of news) {
      if (visible.has(userId)) this.#watch(userId, session);
      else this.#unwatch(userId, session);
    }
    const presences = await this.#presencesOf(news.filter((userId) => visible.has(userId)));
    for (const userId of news) {
      if (session.watched !== asked) return;
      const presence = sees(userId) ? presences.get(userId) : undefined;
      // Who went just now may be back before anyone is told: then nobody would tell this one either.
      if (presence !== undefined && this.#online.has(userId)) presence.online = true;
      const frame = encodeEvent({ case: "presence", value: presence ?? unseen(userId) });
      session.reply(frame);
      const watch = this.#watches.get(userId);
      // Whoever watched before may not have heard of it yet.
      if (presence !== undefined && watch !== undefined)
        this.#spread(watch, stateOf(presence), frame, session);
    }
  }

  /** Ends a session's watching. */
  unwatch(session: Session): void {
    for (const userId of session.watched) this.#unwatch(userId, session);
    session.watched = new Set();
    this.#outdated.delete(session);
  }

  /** Notes that a user's first session came to this node. */
  came(userId: string): void {
    this.#gone.delete(userId);
    if (this.#online.has(userId)) return;
    // Kept at once, in case the server does not live to see the user go.
    this.#lastActive.set(userId, this.#clock.now());
    this.#online.add(userId);
    const message = this.#message(userId, this.#platformsHere(userId), this.#clock.now());
    this.#bus.publish(subjects.presence(userId), message);
  }

  /**
   * Notes that a user's last session on this node went.
   *
   * @param drained whether it was asked to reconnect, maybe to another node
   */
  went(userId: string, drained: boolean): void {
    const timeMs = this.#clock.now();
    this.#gone.set(userId, {
      tellMs: this.#clock.monotonic() + (drained ? drainedGraceMs : graceMs),
      timeMs,
    });
    this.#lastActive.set(userId, timeMs);
  }

  /** Takes in what a node, this one or another, says of a user. */
  receive(message: PresenceMessage): void {
    if (!this.#watches.has(message.userId)) return;
    if (message.instanceId !== this.#instanceId) {
      if (!this.#remote.note(message, this.#clock.monotonic())) return;
    }
    this.#tell(message.userId, message.lastActiveMs);
  }

  /** Tells other nodes which of the users are connected here. */
  answer(userIds: readonly string[]): void {
    if (this.#asking) return;
    for (const userId of userIds) {
      const message = this.messageOf(userId);
      if (message !== undefined) this.#bus.publish(subjects.presence(userId), message);
    }
  }

  /** Makes this node's word on a user; undefined when the user is not connected to it. */
  messageOf(userId: string): PresenceMessage | undefined {
    const platforms = this.#platformsHere(userId);
    return platforms.length > 0 ? this.#message(userId, platforms, this.#clock.now()) : undefined;
  }

  /** Asks the other nodes where watched users are. */
  ask(): void {
    this.#askedMs = this.#clock.monotonic();
    const userIds = [...this.#watches.keys()];
    this.#asking = true;
    for (let i = 0; i < userIds.length; i += askUsers) {
      const some = userIds.slice(i, i + askUsers);
      this.#bus.publish(subjects.nodes, { type: "presenceQuery", userIds: some });
    }
    this.#asking = false;
  }

  /** Tells who went a while ago, asks again where others are, and keeps when users were last active. Called every second. */
  async sweep(): Promise<void> {
    const nowMs = this.#clock.monotonic();
    for (const [userId, { tellMs, timeMs }] of this.#gone) {
      if (tellMs > nowMs) continue;
      this.#gone.delete(userId);
      this.#online.delete(userId);
      this.#bus.publish(subjects.presence(userId), this.#message(userId, [], timeMs));
    }
    this.#sweepRemote(nowMs);
    await Promise.all([this.flush(), this.#lookAtOutdated()]);
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

  async #lookAtOutdated(): Promise<void> {
    for (const session of [...this.#outdated].slice(0, maxLooks)) {
      this.#outdated.delete(session);
      try {
        await this.#look(session, false);
      } catch (error) {
        this.lookAgain([session]);
        throw error;
      }
    }
  }

  #sweepRemote(nowMs: number): void {
    // Silence says nothing about the others while this node cannot hear them.
    const deaf = !this.#bus.connected || nowMs - this.#sweptMs > heldUpMs;
    this.#sweptMs = nowMs;
    if (deaf) this.#remote.renew(nowMs);
    for (const userId of this.#remote.expire(nowMs)) this.#tell(userId, this.#clock.now());
    if (nowMs - this.#askedMs >= askMs) this.ask();
  }

  #watch(userId: string, session: Session): void {
    let watch = this.#watches.get(userId);
    if (watch === undefined) {
      watch = {
        sessions: new Set(),
        unsubscribe: this.#bus.subscribe(subjects.presence(userId), (message) => {
          if (message.type === "presence") this.receive(message);
          return undefined;
        }),
        told: "",
      };
      this.#watches.set(userId, watch);
    }
    watch.sessions.add(session);
  }

  #unwatch(userId: string, session: Session): void {
    const watch = this.#watches.get(userId);
    if (watch === undefined) return;
    watch.sessions.delete(session);
    if (watch.sessions.size > 0) return;
    this.#watches.delete(userId);
    this.#remote.forget(userId);
    watch.unsubscribe();
  }

  /** Tells the watchers of a user where the user is, unless they know. */
  #tell(userId: string, lastActiveMs: number): void {
    const watch = this.#watches.get(userId);
    if (watch === undefined) return;
    const presence = this.#presenceOf(userId, new Map([[userId, lastActiveMs]]));
    this.#spread(watch, stateOf(presence), encodeEvent({ case: "presence", value: presence }));
  }

  #spread(watch: Watch, state: string, frame: Uint8Array, except?: Session): void {
    if (state === watch.told) return;
    watch.told = state;
    for (const session of watch.sessions) {
      if (session !== except) session.deliverEphemeral({ kind: EphemeralKind.PRESENCE, frame });
    }
  }

  /** Asks other nodes for a user who is not connected here; at once where no other node has the user. */
  async #askFor(userId: string): Promise<number[]> {
    if (this.#hub.sessionsOfUser(userId).size > 0) return [];
    const query = { type: "presenceQuery", userIds: [userId] } as const;
    const answers = await this.#bus.request(subjects.user(userId), query, answerMs);
    const platforms: number[] = [];
    for (const answer of answers) {
      if (answer.type !== "presence" || answer.userId !== userId) continue;
      if (this.#watches.has(userId)) this.#remote.note(answer, this.#clock.monotonic());
      platforms.push(...answer.platforms);
    }
    return platforms;
  }

  #message(userId: string, platforms: readonly number[], lastActiveMs: number): PresenceMessage {
    return { type: "presence", userId, instanceId: this.#instanceId, platforms, lastActiveMs };
  }

  #platformsHere(userId: string): number[] {
    return [...this.#hub.sessionsOfUser(userId)].map((session) => session.caller.platform);
  }

  /** @param elsewhere the platforms of sessions on other nodes, where they were asked for */
  #presenceOf(
    userId: string,
    lastActive: ReadonlyMap<string, number> = this.#lastActive,
    elsewhere = this.#remote.platformsOf(userId),
  ): Presence {
    const platforms = [...this.#platformsHere(userId), ...elsewhere];
    const online = platforms.length > 0;
    const timeMs = online ? this.#clock.now() : (this.#lastActive.get(userId) ?? lastActive.get(userId));
    return create(PresenceSchema, {
      userId,
      online,
      platforms,
      ...(timeMs !== undefined && timeMs > 0 && { lastActiveTime: timestampFromMs(timeMs) }),
    });
  }
}

/** Makes the presence reported for a user whom one may not see, and for one who never came. */
function unseen(userId: string): Presence {
  return create(PresenceSchema, { userId });
}

/** Returns the part of a presence whose changes are reported. */
function stateOf({ online, platforms }: Presence): string {
  return `${online} ${[...new Set(platforms)].sort((a, b) => a - b).join()}`;
}
