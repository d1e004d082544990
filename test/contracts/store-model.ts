import fc from "fast-check";
import { settings, toGroup, toUser } from "./store-support.ts";

/** Something a user does. The numbers index users and groups of a {@link MembershipModel}. */
export interface Action {
  type: "create" | "join" | "leave" | "add" | "remove" | "disband" | "sendGroup" | "sendDirect";
  user: number;
  /** Another user, never the same. */
  other: number;
  group: number;
}

/** Lists of actions: two groups are made, then anything happens. */
export const actions: fc.Arbitrary<Action[]> = fc
  .array(
    fc.record({
      type: fc.oneof(
        { weight: 1, arbitrary: fc.constant("disband" as const) },
        {
          weight: 30,
          arbitrary: fc.constantFrom("join", "leave", "add", "remove", "sendGroup", "sendDirect"),
        },
        { weight: 10, arbitrary: fc.constant("sendGroup" as const) },
      ),
      user: fc.nat(3),
      step: fc.integer({ min: 1, max: 3 }),
      group: fc.nat(1),
    }),
    { maxLength: 80 },
  )
  .map((list) => [
    { type: "create", user: 0, other: 1, group: 0 },
    { type: "create", user: 1, other: 2, group: 1 },
    ...list.map(({ step, ...action }) => ({ ...action, other: (action.user + step) % 4 }) as Action),
  ]);

/** An event of the model's log; `number` counts all events from 1. */
export interface ModelEvent {
  conversationId: string;
  seq: number;
  number: number;
}

/** OPEN groups with hidden history, as simply as can be: who is in, and who gets each event. */
export class MembershipModel {
  readonly settings = settings();
  readonly userIds: string[];
  readonly groupIds: string[];
  readonly log: Array<ModelEvent & { readers: ReadonlySet<string> }> = [];
  readonly #groups = new Map<string, { ownerId: string; members: Set<string> }>();

  constructor(prefix: string) {
    this.userIds = [0, 1, 2, 3].map((n) => `${prefix}-u${n}`);
    this.groupIds = [0, 1].map((n) => `${prefix}-g${n}`);
  }

  /** The events a user gets. */
  visibleTo(userId: string): ModelEvent[] {
    return this.log.filter(({ readers }) => readers.has(userId)).map(({ readers: _, ...event }) => event);
  }

  /** Does an action if it is allowed, and says whether it is. */
  perform({ type, user, other, group }: Action): boolean {
    const userId = this.userIds[user] as string;
    const otherId = this.userIds[other] as string;
    const groupId = this.groupIds[group] as string;
    if (type === "sendDirect") {
      this.#append(toUser(userId, otherId).conversationId, [userId, otherId]);
      return true;
    }
    const { conversationId } = toGroup(userId, groupId);
    if (type === "create") {
      const members = new Set([userId, otherId]);
      this.#groups.set(groupId, { ownerId: userId, members });
      this.#append(conversationId, members);
      this.#append(conversationId, members);
      return true;
    }
    const found = this.#groups.get(groupId);
    if (found === undefined) return false;
    const { ownerId, members } = found;
    if (type === "join") {
      if (members.has(userId)) return false;
      this.#append(conversationId, members.add(userId));
      return true;
    }
    if (!members.has(userId)) return false;
    switch (type) {
      case "leave":
        if (userId === ownerId) return false;
        this.#append(conversationId, members);
        members.delete(userId);
        return true;
      case "add":
        if (!members.has(otherId)) this.#append(conversationId, members.add(otherId));
        return true;
      case "remove":
        if (userId !== ownerId || !members.has(otherId)) return false;
        this.#append(conversationId, members);
        members.delete(otherId);
        return true;
      case "disband":
        if (userId !== ownerId) return false;
        this.#append(conversationId, members);
        this.#groups.delete(groupId);
        return true;
      case "sendGroup":
        this.#append(conversationId, members);
        return true;
    }
  }

  #append(conversationId: string, readers: Iterable<string>): void {
    const seq = this.log.filter((event) => event.conversationId === conversationId).length + 1;
    this.log.push({ conversationId, seq, number: this.log.length + 1, readers: new Set(readers) });
  }
}
