import { type Bus, type BusHandler, subjects } from "../bus/bus.ts";
import type { GroupStore } from "../store/ports/groups.ts";
import type { Session } from "./session.ts";

/** A user who is connected to this node. */
interface ConnectedUser {
  readonly userId: string;
  readonly sessions: Set<Session>;
  /** Their groups, each with the first seq that they may read. */
  readonly memberships: Map<string, number>;
  /** Resolves once `memberships` is complete. */
  loaded: Promise<void>;
  /** While loading: what live events said of the user's groups, in order. With no `visibleFromSeq` they left. */
  changes: { groupId: string; visibleFromSeq: number | undefined; position: number }[] | undefined;
  readonly unsubscribe: () => void;
}

/** A group with a member who is connected to this node. */
interface ConnectedGroup {
  readonly sessions: Set<Session>;
  readonly unsubscribe: () => void;
}

/** Callbacks of the hub. */
export interface HubEvents {
  /** Something arrived on a subject the hub subscribes to. */
  onMessage: BusHandler;
  /** A user's first session on this node came. */
  onUserCame: (userId: string) => void;
  /** A user's last session on this node, the one given, went. */
  onUserGone: (userId: string, session: Session) => void;
}

const none: ReadonlySet<Session> = new Set();

/**
 * Knows who is connected to this node: userId → sessions, groupId → sessions.
 * It subscribes to a user's or a group's subject of the bus exactly while it
 * has such sessions.
 *
 * Which groups a user is in is read once, when their first session comes, and
 * kept true by the membership events of the log.
 */
export class Hub {
  readonly #store: GroupStore;
  readonly #bus: Bus;
  readonly #events: HubEvents;
  readonly #users = new Map<string, ConnectedUser>();
  readonly #groups = new Map<string, ConnectedGroup>();
  readonly #sessions = new Set<Session>();
  /** The sessions of the users and groups above, by the subjects of what they get. */
  readonly #bySubject = new Map<string, ReadonlySet<Session>>();
  /** Users whose groups are being read. */
  readonly #loading = new Set<ConnectedUser>();

  constructor(store: GroupStore, bus: Bus, events: HubEvents) {
    this.#store = store;
    this.#bus = bus;
    this.#events = events;
  }

  /** Whether what is published on one of these subjects reaches anybody on this node. */
  listensTo(all: readonly string[]): boolean {
    return all.some((subject) => this.#bySubject.has(subject));
  }

  /** All sessions of this node. */
  get sessions(): ReadonlySet<Session> {
    return this.#sessions;
  }

  /** How many users are connected to this node. */
  get userCount(): number {
    return this.#users.size;
  }

  /** How many groups have a member connected to this node. */
  get groupCount(): number {
    return this.#groups.size;
  }

  /** Adds a session and resolves once all events of its user's groups reach it. */
  async add(session: Session): Promise<void> {
    const { userId } = session.caller;
    this.#sessions.add(session);
    let user = this.#users.get(userId);
    if (user === undefined) {
      const sessions = new Set<Session>();
      user = {
        userId,
        sessions,
        memberships: new Map(),
        loaded: Promise.resolve(),
        changes: [],
        unsubscribe: this.#subscribe(subjects.user(userId), sessions),
      };
      this.#users.set(userId, user);
      user.loaded = this.#load(user);
    }
    user.sessions.add(session);
    if (user.sessions.size === 1) this.#events.onUserCame(userId);
    for (const groupId of user.memberships.keys()) this.#group(groupId).sessions.add(session);
    await user.loaded;
  }

  /** Removes a session; a second time does nothing. */
  remove(session: Session): void {
    if (!this.#sessions.delete(session)) return;
    const user = this.#users.get(session.caller.userId);
    if (user === undefined || !user.sessions.delete(session)) return;
    for (const groupId of user.memberships.keys()) this.#leaveGroup(groupId, session);
    if (user.sessions.size === 0) {
      this.#users.delete(user.userId);
      user.unsubscribe();
      this.#events.onUserGone(user.userId, session);
    }
  }

  /** The sessions of a user on this node. */
  sessionsOfUser(userId: string): ReadonlySet<Session> {
    return this.#users.get(userId)?.sessions ?? none;
  }

  /** The sessions on this node that get what is published on a subject: a user's, or those of a group's members. */
  sessionsOn(subject: string): ReadonlySet<Session> {
    return this.#bySubject.get(subject) ?? none;
  }

  /** The first seq of a group that a user may read; of groups and users that are not here, none. */
  visibleFrom(groupId: string, userId: string): number {
    return this.#users.get(userId)?.memberships.get(groupId) ?? Number.POSITIVE_INFINITY;
  }

  /** Notes that users are members of a group since the event at `position`, each with the first seq they may read. */
  join(
    groupId: string,
    members: Iterable<{ userId: string; visibleFromSeq: number }>,
    position: number,
  ): void {
    for (const { userId, visibleFromSeq } of members) {
      const user = this.#users.get(userId);
      if (user === undefined) continue;
      user.changes?.push({ groupId, visibleFromSeq, position });
      this.#join(user, groupId, visibleFromSeq);
    }
  }

  /** Notes that users are no longer members of a group since the event at `position`. */
  leave(groupId: string, userIds: Iterable<string>, position: number): void {
    for (const userId of userIds) {
      const user = this.#users.get(userId);
      if (user === undefined) continue;
      user.changes?.push({ groupId, visibleFromSeq: undefined, position });
      this.#leave(user, groupId);
    }
  }

  /** Notes that a group is no more. */
  disband(groupId: string, position: number): void {
    const userIds = new Set([...this.#loading].map((user) => user.userId));
    for (const session of this.#groups.get(groupId)?.sessions ?? none) userIds.add(session.caller.userId);
    this.leave(groupId, userIds, position);
  }

  async #load(user: ConnectedUser): Promise<void> {
    this.#loading.add(user);
    const { memberships, through } = await this.#store.listMemberships(user.userId).finally(() => {
      this.#loading.delete(user);
    });
    if (this.#users.get(user.userId) !== user) return;
    for (const { groupId, visibleFromSeq } of memberships) this.#join(user, groupId, visibleFromSeq);
    // What happened after the answer was true outweighs it.
    for (const { groupId, visibleFromSeq, position } of user.changes ?? []) {
      if (position <= through) continue;
      if (visibleFromSeq === undefined) this.#leave(user, groupId);
      else this.#join(user, groupId, visibleFromSeq);
    }
    user.changes = undefined;
  }

  #join(user: ConnectedUser, groupId: string, visibleFromSeq: number): void {
    const isMember = user.memberships.has(groupId);
    user.memberships.set(groupId, visibleFromSeq);
    if (isMember) return;
    const { sessions } = this.#group(groupId);
    for (const session of user.sessions) sessions.add(session);
  }

  #leave(user: ConnectedUser, groupId: string): void {
    if (!user.memberships.delete(groupId)) return;
    for (const session of user.sessions) this.#leaveGroup(groupId, session);
  }

  #group(groupId: string): ConnectedGroup {
    let group = this.#groups.get(groupId);
    if (group === undefined) {
      const sessions = new Set<Session>();
      group = { sessions, unsubscribe: this.#subscribe(subjects.group(groupId), sessions) };
      this.#groups.set(groupId, group);
    }
    return group;
  }

  #subscribe(subject: string, sessions: ReadonlySet<Session>): () => void {
    this.#bySubject.set(subject, sessions);
    const unsubscribe = this.#bus.subscribe(subject, this.#events.onMessage);
    return () => {
      this.#bySubject.delete(subject);
      unsubscribe();
    };
  }

  #leaveGroup(groupId: string, session: Session): void {
    const group = this.#groups.get(groupId);
    if (group === undefined) return;
    group.sessions.delete(session);
    if (group.sessions.size === 0) {
      this.#groups.delete(groupId);
      group.unsubscribe();
    }
  }
}
