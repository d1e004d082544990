import { parseConversationId } from "../../../wire/ids.ts";
import type { DumpEvent } from "../dump.ts";

/** A time in which a user was a member of a group, by the seqs of the group. */
interface Stay {
  /** The first seq the member may read; at most `fromSeq`. */
  visibleFromSeq: number;
  /** The event that made the user a member. */
  fromSeq: number;
  /** The event that ended it, itself included; infinite for those who are still members. */
  toSeq: number;
}

interface Conversation {
  /** Of a direct conversation: its two users. */
  userIds: readonly string[] | undefined;
  /** Of a group: every stay of everyone, in order. */
  stays: Map<string, Stay[]>;
  /** Of a group: who is a member now, with the stay that lasts. */
  members: Map<string, Stay>;
}

/**
 * Who gets which event, by nothing but the log itself: a direct conversation is
 * its two users'; an event of a group is due to those who are members, from the
 * event that makes them one to the event that ends it, both included.
 */
export class MembershipTimeline {
  /** Messages whose sender was not a member of the conversation at that seq. */
  readonly outsiders: readonly DumpEvent[];
  /** Changes that let in somebody who was a member already, or out somebody who was none. */
  readonly emptyChanges: readonly DumpEvent[];
  readonly #conversations = new Map<string, Conversation>();
  readonly #due: ReadonlyMap<string, DumpEvent[]>;

  /** @param readers the users whose events will be asked for */
  constructor(events: readonly DumpEvent[], readers: Iterable<string>) {
    const outsiders: DumpEvent[] = [];
    const emptyChanges = new Set<DumpEvent>();
    this.#due = new Map(Array.from(readers, (userId) => [userId, []]));
    for (const event of events) {
      const conversation = this.#conversation(event.conversationId);
      for (const { userId, visibleFromSeq } of joinersOf(event)) {
        if (conversation.members.has(userId)) emptyChanges.add(event);
        else enter(conversation, userId, visibleFromSeq, event.seq);
      }
      const users = conversation.userIds ?? conversation.members.keys();
      for (const userId of users) this.#due.get(userId)?.push(event);
      if (event.kind === "message" && !has(conversation, event.senderId)) outsiders.push(event);
      for (const userId of leaversOf(event, conversation)) {
        const stay = conversation.members.get(userId);
        if (stay === undefined) emptyChanges.add(event);
        else stay.toSeq = event.seq;
        conversation.members.delete(userId);
      }
    }
    this.outsiders = outsiders;
    this.emptyChanges = [...emptyChanges];
  }

  /** Returns the events that are due to a reader, by position. */
  due(userId: string): readonly DumpEvent[] {
    return this.#due.get(userId) ?? [];
  }

  /** Tells whether a user may see an event: those due, and earlier ones that members may read. */
  maySee(userId: string, { conversationId, seq }: DumpEvent): boolean {
    const { userIds, stays } = this.#conversation(conversationId);
    if (userIds !== undefined) return userIds.includes(userId);
    return (stays.get(userId) ?? []).some((stay) => stay.visibleFromSeq <= seq && seq <= stay.toSeq);
  }

  /** Tells whether an event is of a conversation that the user is in to the end, by a stay that has not ended. */
  isLasting(userId: string, { conversationId, seq }: DumpEvent): boolean {
    const { userIds, members } = this.#conversation(conversationId);
    if (userIds !== undefined) return userIds.includes(userId);
    const stay = members.get(userId);
    return stay !== undefined && stay.fromSeq <= seq;
  }

  #conversation(conversationId: string): Conversation {
    let conversation = this.#conversations.get(conversationId);
    if (conversation === undefined) {
      const target = parseConversationId(conversationId);
      const userIds = target?.kind === "direct" ? target.userIds : undefined;
      conversation = { userIds, stays: new Map(), members: new Map() };
      this.#conversations.set(conversationId, conversation);
    }
    return conversation;
  }
}

function enter({ stays, members }: Conversation, userId: string, visibleFromSeq: number, fromSeq: number) {
  const stay: Stay = { visibleFromSeq, fromSeq, toSeq: Number.POSITIVE_INFINITY };
  members.set(userId, stay);
  const earlier = stays.get(userId);
  if (earlier === undefined) stays.set(userId, [stay]);
  else earlier.push(stay);
}

function has({ userIds, members }: Conversation, userId: string): boolean {
  return userIds?.includes(userId) ?? members.has(userId);
}

function joinersOf({ change }: DumpEvent): readonly { userId: string; visibleFromSeq: number }[] {
  return change?.type === "joined" ? change.members : [];
}

function leaversOf({ change, disbanded }: DumpEvent, { members }: Conversation): readonly string[] {
  if (disbanded) return [...members.keys()];
  return change?.type === "left" ? change.members.map(({ userId }) => userId) : [];
}
