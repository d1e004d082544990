import { compareBytes, directConversationId, groupConversationId } from "../../../wire/ids.ts";
import {
  type Answer,
  type Change,
  type ConversationView,
  expectSame,
  type GroupView,
  type MemberView,
  type MessageView,
  Mismatch,
  type Operation,
  type Send,
  type Target,
} from "./operations.ts";

/** An event of the log. */
export interface ModelEvent {
  conversationId: string;
  seq: number;
  /** Who gets it: the members at that moment, those who come or go with it among them. */
  readers: ReadonlySet<string>;
  /** What was sent, where it is a message. */
  send: Send | undefined;
  /** What only the service can say, once it has. */
  position: number | undefined;
  messageId: string | undefined;
}

interface Stay {
  joinSeq: number;
  visibleFromSeq: number;
  readSeq: number;
}

interface Conversation {
  conversationId: string;
  events: ModelEvent[];
  members: Map<string, Stay>;
  group:
    | { groupId: string; ownerId: string; open: boolean; history: boolean; disbanded: boolean }
    | undefined;
}

/**
 * The service as simply as can be: one list of events, and who is in which
 * conversation. It knows neither crashes nor streams nor time, for none of
 * them may make a difference.
 */
export class LogModel {
  readonly log: ModelEvent[] = [];
  readonly #conversations = new Map<string, Conversation>();
  /** By sender and client message id. */
  readonly #sent = new Map<string, ModelEvent>();

  /**
   * Carries out an operation, if the rules allow it.
   *
   * @param heard the service's answer, for what only the service can say: a new message's position and id
   */
  perform(operation: Operation, heard: Answer): Answer {
    switch (operation.do) {
      case "send":
        return this.#send(operation, heard);
      case "mark-read":
        return this.#markRead(operation);
      default:
        return this.#change(operation);
    }
  }

  /** Why the rules forbid a send now; undefined when they do not, or when it is a repeat. */
  refusalOf(send: Send): string | undefined {
    const { by, to, body } = send;
    const earlier = this.#sent.get(keyOf(send));
    if (earlier === undefined) return "groupId" in to ? this.#refusalOfMember(to.groupId, by) : undefined;
    const isRepeat = earlier.conversationId === conversationIdOf(by, to) && earlier.send?.body === body;
    return isRepeat ? undefined : "CLIENT_MESSAGE_ID_REUSED";
  }

  /** Whether a group exists or existed. */
  hasGroup(groupId: string): boolean {
    return this.#conversations.has(groupConversationId(groupId));
  }

  /** The seq of the last event of a conversation, 0 when there is none. */
  lastSeq(conversationId: string): number {
    return this.#conversations.get(conversationId)?.events.length ?? 0;
  }

  /** The events that a user gets, from an index of the log on. */
  eventsFor(userId: string, fromIndex: number): ModelEvent[] {
    return this.log.slice(fromIndex).filter(({ readers }) => readers.has(userId));
  }

  /** The index of the first message of others that a user has not read, the log's length when there is none. */
  firstUnread(userId: string): number {
    const found = this.log.findIndex(({ conversationId, seq, send }) => {
      const stay = this.#conversations.get(conversationId)?.members.get(userId);
      return (
        stay !== undefined &&
        send !== undefined &&
        send.by !== userId &&
        seq >= stay.joinSeq &&
        seq > stay.readSeq
      );
    });
    return found < 0 ? this.log.length : found;
  }

  /** The index of the first event above a position, as far as positions are known. */
  indexAbove(position: number): number {
    return this.log.findLastIndex((event) => event.position !== undefined && event.position <= position) + 1;
  }

  /** Notes the position of an event, as a stream tells it. @throws Mismatch when it is another than before */
  learn(conversationId: string, seq: number, position: number): void {
    const event = this.#conversations.get(conversationId)?.events[seq - 1];
    if (event === undefined)
      throw new Mismatch("I2", `a stream has seq ${seq} of ${conversationId}, which nobody made`);
    event.position ??= position;
    expectSame("I4", `the position of seq ${seq} of ${conversationId}`, position, event.position);
  }

  /** A user's conversations, the one with the newest event first. */
  conversationsOf(userId: string): ConversationView[] {
    return [...this.#conversations.values()]
      .filter(({ members }) => members.has(userId))
      .sort((a, b) => this.log.lastIndexOf(lastOf(b)) - this.log.lastIndexOf(lastOf(a)))
      .map((conversation) => view(conversation, userId));
  }

  /** What a user may read of a conversation, or why they may not. */
  messagesOf(userId: string, target: Target): MessageView[] | { refused: string } {
    const conversation = this.#conversations.get(conversationIdOf(userId, target));
    const stay = conversation?.members.get(userId);
    if (conversation === undefined || stay === undefined)
      return "groupId" in target ? { refused: this.#refusalOfMember(target.groupId, userId) as string } : [];
    return conversation.events.flatMap(({ seq, send, messageId = "" }) =>
      send !== undefined && seq >= stay.visibleFromSeq
        ? [{ seq, senderId: send.by, clientMessageId: send.clientMessageId, body: send.body, messageId }]
        : [],
    );
  }

  /** The members of a group as a user is shown them, or why they are not. */
  membersOf(userId: string, groupId: string): MemberView[] | { refused: string } {
    const refused = this.#refusalOfMember(groupId, userId);
    if (refused !== undefined) return { refused };
    const { members, group } = this.#conversations.get(groupConversationId(groupId)) as Conversation;
    return [...members]
      .sort(([a], [b]) => compareBytes(a, b))
      .map(([id, { visibleFromSeq }]) => ({ userId: id, owner: id === group?.ownerId, visibleFromSeq }));
  }

  /** A user's groups, by their ids. */
  groupsOf(userId: string): GroupView[] {
    return [...this.#conversations.values()]
      .flatMap(({ group, members }) =>
        group !== undefined && members.has(userId)
          ? [{ groupId: group.groupId, ownerId: group.ownerId, memberCount: members.size }]
          : [],
      )
      .sort((a, b) => compareBytes(a.groupId, b.groupId));
  }

  #send(send: Send, heard: Answer): Answer {
    const refused = this.refusalOf(send);
    if (refused !== undefined) return { refused };
    const earlier = this.#sent.get(keyOf(send));
    if (earlier !== undefined) return sentAnswer(earlier, true);
    const { by, to } = send;
    const conversationId = conversationIdOf(by, to);
    const conversation =
      this.#conversations.get(conversationId) ??
      this.#begin(conversationId, [by, "recipientId" in to ? to.recipientId : by], undefined);
    const event = this.#append(conversation, send);
    if ("sent" in heard) {
      event.position = heard.sent.position;
      event.messageId = heard.sent.messageId;
    }
    this.#sent.set(keyOf(send), event);
    return sentAnswer(event, false);
  }

  #markRead({ by, conversationId, upToSeq }: Operation & { do: "mark-read" }): Answer {
    const conversation = this.#conversations.get(conversationId);
    const stay = conversation?.members.get(by);
    if (conversation === undefined || stay === undefined) return { refused: "CONVERSATION_NOT_FOUND" };
    if (upToSeq > conversation.events.length) return { refused: "SEQ_IN_FUTURE" };
    stay.readSeq = Math.max(stay.readSeq, upToSeq);
    return { conversation: view(conversation, by) };
  }

  #change(change: Change): Answer {
    const { by, groupId } = change;
    const conversationId = groupConversationId(groupId);
    if (change.do === "create") {
      if (this.hasGroup(groupId)) return { refused: "GROUP_ID_TAKEN" };
      const { open, history, memberIds } = change;
      const group = { groupId, ownerId: by, open, history, disbanded: false };
      const conversation = this.#begin(conversationId, [by, ...memberIds], group);
      this.#append(conversation, undefined);
      this.#append(conversation, undefined);
      return { done: true };
    }
    const conversation = this.#conversations.get(conversationId);
    const { members, group } = conversation ?? {};
    if (conversation === undefined || members === undefined || group === undefined || group.disbanded)
      return { refused: "GROUP_NOT_FOUND" };
    if (change.do === "join") {
      if (members.has(by)) return { refused: "ALREADY_A_MEMBER" };
      if (!group.open) return { refused: "GROUP_NOT_FOUND" };
      this.#admit(conversation, [by]);
      return { done: true };
    }
    const refused = this.#refusalOfMember(groupId, by);
    if (refused !== undefined) return { refused };
    switch (change.do) {
      case "add": {
        const fresh = change.userIds.filter((userId) => !members.has(userId));
        if (fresh.length > 0) this.#admit(conversation, fresh);
        return { done: true };
      }
      case "leave":
        if (by === group.ownerId) return { refused: "OWNER_CANNOT_LEAVE" };
        this.#dismiss(conversation, [by]);
        return { done: true };
      case "remove": {
        const { userIds } = change;
        if (by !== group.ownerId && userIds.some((userId) => userId !== by))
          return { refused: "ROLE_TOO_LOW" };
        if (!userIds.every((userId) => members.has(userId))) return { refused: "MEMBER_NOT_FOUND" };
        if (userIds.includes(group.ownerId)) return { refused: "OWNER_CANNOT_LEAVE" };
        this.#dismiss(conversation, userIds);
        return { done: true };
      }
      case "disband":
        if (by !== group.ownerId) return { refused: "ROLE_TOO_LOW" };
        this.#dismiss(conversation, [...members.keys()]);
        group.disbanded = true;
        return { done: true };
    }
  }

  /** What someone who is no member of a group is told; undefined for members. */
  #refusalOfMember(groupId: string, userId: string): string | undefined {
    const conversation = this.#conversations.get(groupConversationId(groupId));
    const { group, members } = conversation ?? {};
    if (group === undefined || group.disbanded) return "GROUP_NOT_FOUND";
    if (members?.has(userId)) return undefined;
    return group.open ? "NOT_A_MEMBER" : "GROUP_NOT_FOUND";
  }

  #begin(conversationId: string, userIds: string[], group: Conversation["group"]): Conversation {
    const stays = userIds.map((userId) => [userId, { joinSeq: 1, visibleFromSeq: 1, readSeq: 0 }] as const);
    const conversation = { conversationId, events: [], members: new Map(stays), group };
    this.#conversations.set(conversationId, conversation);
    return conversation;
  }

  #admit(conversation: Conversation, userIds: readonly string[]): void {
    const joinSeq = conversation.events.length + 1;
    const visibleFromSeq = conversation.group?.history ? 1 : joinSeq;
    for (const userId of userIds)
      conversation.members.set(userId, { joinSeq, visibleFromSeq, readSeq: joinSeq - 1 });
    this.#append(conversation, undefined);
  }

  #dismiss(conversation: Conversation, userIds: readonly string[]): void {
    this.#append(conversation, undefined);
    for (const userId of userIds) conversation.members.delete(userId);
  }

  #append({ conversationId, events, members }: Conversation, send: Send | undefined): ModelEvent {
    const event: ModelEvent = {
      conversationId,
      seq: events.length + 1,
      readers: new Set(members.keys()),
      send,
      position: undefined,
      messageId: undefined,
    };
    events.push(event);
    this.log.push(event);
    return event;
  }
}

/** The id of the conversation a user means. */
export function conversationIdOf(userId: string, target: Target): string {
  return "groupId" in target
    ? groupConversationId(target.groupId)
    : directConversationId(userId, target.recipientId);
}

function keyOf({ by, clientMessageId }: Send): string {
  return `${by} ${clientMessageId}`;
}

function sentAnswer(
  { conversationId, seq, position = 0, messageId = "" }: ModelEvent,
  duplicate: boolean,
): Answer {
  return { sent: { conversationId, seq, position, messageId, duplicate } };
}

function lastOf({ events }: Conversation): ModelEvent {
  return events.at(-1) as ModelEvent;
}

function view({ conversationId, events, members }: Conversation, userId: string): ConversationView {
  const { readSeq, visibleFromSeq } = members.get(userId) as Stay;
  const readable = events.filter(({ send, seq }) => send !== undefined && seq >= visibleFromSeq);
  return {
    conversationId,
    lastSeq: events.length,
    readSeq,
    unreadCount: readable.filter(({ send, seq }) => send?.by !== userId && seq > readSeq).length,
    lastMessageSeq: readable.at(-1)?.seq,
  };
}
