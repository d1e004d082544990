/** Turns what the server sends into what is shown. */

import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Group } from "../../../gen/parlance/chat/v1/group_pb.js";
import { type ChatMessage, MembershipChange, type MembershipChanged, Role } from "../../typescript/index.ts";
import type { Message, Notice } from "./model.ts";

/** Returns a message as shown. */
export function messageOf(wire: ChatMessage): Message {
  return {
    kind: "message",
    seq: Number(wire.seq),
    senderId: wire.senderId,
    text: textOf(wire),
    timeMs: millisOf(wire.acceptTime),
    clientMessageId: wire.clientMessageId,
  };
}

/** Says in words how the members of a group changed. */
export function membershipNotice({ seq, change, actorId, members, acceptTime }: MembershipChanged): Notice {
  const userIds = members.map(({ userId }) => userId);
  return {
    kind: "notice",
    seq: Number(seq),
    timeMs: millisOf(acceptTime),
    text: describe(change, actorId, userIds, members[0]?.role),
    tone: "event",
  };
}

/** Says in words that a group was created, or its settings changed. */
export function groupNotice(group: Group): Notice {
  const { seq, updaterId, updateTime, disbandTime } = group;
  return {
    kind: "notice",
    seq: Number(seq),
    timeMs: millisOf(disbandTime ?? updateTime),
    text: `${updaterId} ${settingsChange(group)}`,
    tone: "event",
  };
}

function settingsChange({ seq, disbandTime }: Group): string {
  if (disbandTime) return "disbanded the group";
  // The log of a group begins with its settings.
  return seq === 1n ? "created the group" : "changed the group's settings";
}

/** Returns the name of a role. */
export function roleName(role: Role): string {
  return (Role[role] ?? "unknown").toLowerCase();
}

/** Joins names as one says them: `a, b and c`. */
export function listOf(names: readonly string[]): string {
  if (names.length < 2) return names.join("");
  if (names.length > 6) return `${names.slice(0, 5).join(", ")} and ${names.length - 5} others`;
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** Returns a time in milliseconds since 1970; 0 when there is none. */
export function millisOf(time: Timestamp | undefined): number {
  return time === undefined ? 0 : Number(time.seconds) * 1_000 + Math.trunc(time.nanos / 1_000_000);
}

function textOf({ content }: ChatMessage): string {
  if (content?.kind.case === "text") return content.kind.value.body;
  return content?.fallbackText || "(a content this version does not know)";
}

function describe(
  change: MembershipChange,
  actor: string,
  userIds: readonly string[],
  role: Role | undefined,
): string {
  const who = listOf(userIds);
  switch (change) {
    case MembershipChange.JOINED:
      return `${who} joined`;
    case MembershipChange.ADDED: {
      // Whoever creates a group is its first member.
      const others = listOf(userIds.filter((userId) => userId !== actor));
      return others === "" ? `${actor} joined` : `${actor} added ${others}`;
    }
    case MembershipChange.LEFT:
      return `${who} left`;
    case MembershipChange.REMOVED:
      return `${actor} removed ${who}`;
    case MembershipChange.UPDATED:
      return userIds.length === 1 && role !== undefined
        ? `${actor} changed ${who}: now ${roleName(role)}`
        : `${actor} changed ${who}`;
    default:
      return `the members changed: ${who}`;
  }
}
