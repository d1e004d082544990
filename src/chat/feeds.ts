import { fromBinary } from "@bufbuild/protobuf";
import { StreamResponseSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import { MembershipChange } from "../../gen/parlance/chat/v1/group_pb.js";
import type { LogMessage } from "../bus/bus.ts";
import { EventKind, type Store } from "../store/store.ts";
import type { Hub } from "./hub.ts";
import { directConversationId, groupConversationId, parseConversationId } from "./ids.ts";
import type { LogFramer } from "./log-frame.ts";
import type { Logger } from "./logger.ts";
import { logMessage } from "./publisher.ts";

/** The live tail of one conversation on this node. */
interface Feed {
  /** The seq of the last event delivered. */
  lastSeq: number;
  /** While events are missing and being read: the last seq that is known to exist. */
  missingUpTo: number | undefined;
}

/** The most missing events read at once. */
const pageEvents = 256;

/**
 * Delivers each conversation's events to the sessions concerned, in the order
 * of seq and each once, whatever the bus does: the next seq is delivered, a
 * lower one is a repeat, a higher one shows that events are missing, which are
 * then read from the store.
 */
export class Feeds {
  readonly #store: Store;
  readonly #frame: LogFramer;
  readonly #hub: Hub;
  readonly #log: Logger;
  readonly #feeds = new Map<string, Feed>();
  /** With whom users have feeds of direct conversations. */
  readonly #peers = new Map<string, Set<string>>();

  constructor(store: Store, frame: LogFramer, hub: Hub, log: Logger) {
    this.#store = store;
    this.#frame = frame;
    this.#hub = hub;
    this.#log = log;
  }

  /** Takes in an event from the bus or from the log's tail. */
  accept(message: LogMessage): void {
    const feed = this.#feeds.get(message.conversationId);
    if (feed === undefined) {
      if (!this.#concerns(message)) return;
      this.#remember(message);
      this.#deliver(message);
      // As after the leave of the last member here: nothing more would come, and the feed would be out of date.
      if (!this.#hasReaders(message)) this.#forget(message.conversationId);
    } else if (feed.missingUpTo !== undefined) {
      feed.missingUpTo = Math.max(feed.missingUpTo, message.seq);
    } else if (message.seq === feed.lastSeq + 1) {
      feed.lastSeq = message.seq;
      this.#deliver(message);
    } else if (message.seq > feed.lastSeq) {
      feed.missingUpTo = message.seq;
      void this.#fetchMissing(message.conversationId, feed);
    }
  }

  /** Whether anybody on this node gets the event; one that makes somebody a member always may. */
  #concerns(message: LogMessage): boolean {
    return message.kind === EventKind.MEMBERSHIP || this.#hasReaders(message);
  }

  /** Whether somebody in the conversation is connected to this node. */
  #hasReaders(message: LogMessage): boolean {
    const target = parseConversationId(message.conversationId);
    if (target?.kind === "group") return this.#hub.sessionsOfGroup(target.groupId).size > 0;
    return target?.userIds.some((userId) => this.#hub.sessionsOfUser(userId).size > 0) ?? false;
  }

  /** Forgets a group: nobody on this node is in it any more. */
  forgetGroup(groupId: string): void {
    this.#feeds.delete(groupConversationId(groupId));
  }

  /** Forgets the direct conversations of a user who left this node, unless the other user is still here. */
  forgetUser(userId: string): void {
    for (const peerId of this.#peers.get(userId) ?? []) {
      if (this.#hub.sessionsOfUser(peerId).size === 0) this.#forget(directConversationId(userId, peerId));
    }
  }

  #forget(conversationId: string): void {
    this.#feeds.delete(conversationId);
    const target = parseConversationId(conversationId);
    if (target?.kind !== "direct") return;
    const [first, second] = target.userIds;
    this.#removePeer(first, second);
    this.#removePeer(second, first);
  }

  #remember(message: LogMessage): void {
    this.#feeds.set(message.conversationId, { lastSeq: message.seq, missingUpTo: undefined });
    const target = parseConversationId(message.conversationId);
    if (target?.kind !== "direct") return;
    const [first, second] = target.userIds;
    this.#addPeer(first, second);
    this.#addPeer(second, first);
  }

  #addPeer(userId: string, peerId: string): void {
    const peers = this.#peers.get(userId);
    if (peers === undefined) this.#peers.set(userId, new Set([peerId]));
    else peers.add(peerId);
  }

  #removePeer(userId: string, peerId: string): void {
    const peers = this.#peers.get(userId);
    if (peers?.delete(peerId) && peers.size === 0) this.#peers.delete(userId);
  }

  /** Reads what is missing, and what came meanwhile, from the store. */
  async #fetchMissing(conversationId: string, feed: Feed): Promise<void> {
    try {
      while (feed.missingUpTo !== undefined && feed.lastSeq < feed.missingUpTo) {
        const events = await this.#store.readSeqs(conversationId, {
          afterSeq: feed.lastSeq,
          beforeSeq: feed.missingUpTo + 1,
          limit: pageEvents,
          fromEnd: false,
          messagesOnly: false,
        });
        if (events.length === 0) throw new Error(`seq ${feed.lastSeq + 1} is not in the log`);
        for (const event of events) {
          feed.lastSeq = event.seq;
          this.#deliver(logMessage(event, this.#frame));
        }
      }
    } catch (err) {
      // Forgotten, the feed begins anew with the next event; sessions find what is missing when they reconnect.
      this.#log.warn({ conversationId, err }, "missing events could not be read");
      this.#forget(conversationId);
    }
    feed.missingUpTo = undefined;
  }

  #deliver(message: LogMessage): void {
    const target = parseConversationId(message.conversationId);
    if (target === undefined) return;
    if (target.kind === "direct") {
      for (const userId of target.userIds) {
        for (const session of this.#hub.sessionsOfUser(userId)) session.deliver(message);
      }
      return;
    }
    // Who gets an event follows from the events before it, so membership changes here, in their order.
    const change = message.kind === EventKind.MESSAGE ? undefined : changeOf(message);
    if (change?.joined !== undefined) this.#hub.join(target.groupId, change.joined, message.position);
    // Whom a new group begins with is a member since its first event, which came before anyone here listened.
    for (const userId of change?.joinedBefore ?? [])
      for (const session of this.#hub.sessionsOfUser(userId)) session.fallBehind();
    for (const session of this.#hub.sessionsOfGroup(target.groupId)) session.deliver(message);
    if (change?.left !== undefined) this.#hub.leave(target.groupId, change.left, message.position);
    if (change?.disbanded) this.#hub.disband(target.groupId, message.position);
  }
}

/** What an event changes of who is in a group. */
interface Change {
  /** Who is a member now. */
  joined?: string[];
  /** Those of them who may be members since an earlier event. */
  joinedBefore?: string[];
  left?: string[];
  disbanded?: boolean;
}

function changeOf(message: LogMessage): Change | undefined {
  const event: ServerEvent["event"] | undefined = fromBinary(StreamResponseSchema, message.frame).events[0]
    ?.event;
  if (event?.case === "groupChanged") return { disbanded: event.value.disbandTime !== undefined };
  if (event?.case !== "membershipChanged") return undefined;
  const { change, members, seq } = event.value;
  const userIds = members.map(({ userId }) => userId);
  switch (change) {
    case MembershipChange.JOINED:
      return { joined: userIds };
    case MembershipChange.ADDED:
      return {
        joined: userIds,
        joinedBefore: userIds.filter((_, i) => (members[i]?.visibleFromSeq ?? seq) < seq),
      };
    case MembershipChange.LEFT:
    case MembershipChange.REMOVED:
      return { left: userIds };
    default:
      return undefined;
  }
}
