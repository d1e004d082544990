import { fromBinary } from "@bufbuild/protobuf";
import { StreamResponseSchema } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { ServerEvent } from "../../gen/parlance/chat/v1/event_pb.js";
import { MembershipChange } from "../../gen/parlance/chat/v1/group_pb.js";
import { parseConversationId } from "../../wire/ids.ts";
import { EventKind, type LogEvent } from "../../wire/log-event.ts";
import { type EphemeralMessage, type LogMessage, subjects, subjectsOf } from "../bus/bus.ts";
import { maySee } from "../rules/audience.ts";
import type { Hub } from "./hub.ts";
import type { Session } from "./session.ts";

/** Hands events of the log to the sessions on this node that they are for. */
export class Delivery {
  readonly #hub: Hub;
  readonly #onCompanyChanged: (sessions: Iterable<Session>) => void;

  /** @param onCompanyChanged is told of sessions whose users share a conversation with others than before */
  constructor(hub: Hub, onCompanyChanged: (sessions: Iterable<Session>) => void) {
    this.#hub = hub;
    this.#onCompanyChanged = onCompanyChanged;
  }

  /** Whether somebody on this node gets the event; one that makes somebody a member always may. */
  concerns({ conversationId, kind }: Pick<LogEvent, "conversationId" | "kind">): boolean {
    if (kind === EventKind.MEMBERSHIP) return true;
    return this.#hub.listensTo(subjectsOf(conversationId));
  }

  /** Delivers an event. Called in the order of position, with each event once. */
  deliver(message: LogMessage): void {
    const target = parseConversationId(message.conversationId);
    if (target?.kind === "group") this.#deliverToGroup(target.groupId, message);
    else for (const subject of subjectsOf(message.conversationId)) this.#deliverToUser(subject, message);
  }

  #deliverToUser(subject: string, message: LogMessage): void {
    const sessions = this.#hub.sessionsOn(subject);
    handOut(message, sessions, () => 1);
    if (message.seq === 1) this.#onCompanyChanged(sessions);
  }

  /** Delivers an event of a group. Who gets it follows from the events before it, so membership changes here, in their order. */
  #deliverToGroup(groupId: string, message: LogMessage): void {
    const change = changingKinds.has(message.kind) ? changeOf(message) : undefined;
    if (change?.joined !== undefined) this.#hub.join(groupId, change.joined, message.position);
    // Whom a new group begins with is a member since its first event, which came before anyone here listened.
    for (const userId of change?.joinedBefore ?? [])
      for (const session of this.#hub.sessionsOfUser(userId)) session.fallBehind();
    const sessions = this.#hub.sessionsOn(subjects.group(groupId));
    handOut(message, sessions, (userId) => this.#hub.visibleFrom(groupId, userId));
    if (change !== undefined) this.#onCompanyChanged(sessions);
    if (change?.left !== undefined) this.#hub.leave(groupId, change.left, message.position);
    if (change?.disbanded) this.#hub.disband(groupId, message.position);
  }

  /** Delivers what is not of the log, to whoever is there. */
  deliverEphemeral(message: EphemeralMessage): void {
    for (const session of this.#hub.sessionsOn(message.subject)) {
      if (session.caller.userId !== message.exceptUserId) session.deliverEphemeral(message);
    }
  }
}

/** Hands an event out to sessions: to those it is not for, no more than that it is there. */
function handOut(
  message: LogMessage,
  sessions: ReadonlySet<Session>,
  visibleFrom: (userId: string) => number,
): void {
  const { limited } = message;
  if (limited === undefined) {
    for (const session of sessions) session.deliver(message);
    return;
  }
  const withheld = { ...message, frame: limited.withheldFrame };
  for (const session of sessions) {
    const { userId } = session.caller;
    session.deliver(maySee(limited.audience, userId, visibleFrom(userId)) ? message : withheld);
  }
}

/** The kinds that may change who is in a group. */
const changingKinds: ReadonlySet<number> = new Set([EventKind.MEMBERSHIP, EventKind.GROUP]);

/** The changes an event makes to a group's members. */
interface Change {
  /** The users who are members now. */
  joined?: { userId: string; visibleFromSeq: number }[];
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
  const joined = members.map(({ userId, visibleFromSeq }) => ({
    userId,
    // Not set for those who may read from this event on.
    visibleFromSeq: Number(visibleFromSeq || seq),
  }));
  switch (change) {
    case MembershipChange.JOINED:
      return { joined };
    case MembershipChange.ADDED:
      return {
        joined,
        joinedBefore: joined
          .filter(({ visibleFromSeq }) => visibleFromSeq < Number(seq))
          .map(({ userId }) => userId),
      };
    case MembershipChange.LEFT:
    case MembershipChange.REMOVED:
      return { left: userIds };
    default:
      return undefined;
  }
}
