import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Content } from "../../../gen/parlance/chat/v1/content_pb.js";
import type { Group, MembershipChanged } from "../../../gen/parlance/chat/v1/group_pb.js";
import type { ChatMessage } from "../../../gen/parlance/chat/v1/message_pb.js";
import { epochMillis } from "../../typescript/time.ts";
import type { Message, Note } from "./model.ts";

/** Turns a message of the wire into one of the page. */
export function messageOf(message: ChatMessage): Message {
  return {
    kind: "message",
    seq: Number(message.seq),
    senderId: message.senderId,
    text: textOf(message.content),
    timeMs: millisOf(message.acceptTime),
    clientMessageId: message.clientMessageId,
  };
}

/** Tells who joined, left or changed. */
export function noteOfMembership(event: MembershipChanged): Note {
  return {
    kind: "note",
    seq: Number(event.seq),
    timeMs: millisOf(event.acceptTime),
    actorId: event.actorId,
    change: event.change,
    userIds: event.members.map(({ userId }) => userId),
  };
}

/** Tells that a group's settings changed. */
export function noteOfSettings(group: Group): Note {
  return {
    kind: "note",
    seq: Number(group.seq),
    timeMs: millisOf(group.updateTime),
    actorId: group.updaterId,
    userIds: [],
  };
}

/** Returns a time in milliseconds since 1970, 0 when it is not set. */
export function millisOf(time: Timestamp | undefined): number {
  return epochMillis(time) ?? 0;
}

function textOf(content: Content | undefined): string {
  if (content?.kind.case === "text") return content.kind.value.body;
  return content?.fallbackText || "A message that this page cannot show";
}
