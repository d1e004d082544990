/** Turns events of the log into what is shown of them. */

import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Content } from "../../gen/parlance/chat/v1/content_pb.js";
import type { Group, MembershipChanged } from "../../gen/parlance/chat/v1/group_pb.js";
import type { ChatMessage } from "../../gen/parlance/chat/v1/message_pb.js";
import { epochMillis } from "../typescript/time.ts";
import type { Message, Note } from "./state.ts";
import { unknownContent } from "./words.ts";

/** Returns a message as shown. */
export function messageOf(wire: ChatMessage): Message {
  return {
    kind: "message",
    seq: Number(wire.seq),
    senderId: wire.senderId,
    text: textOf(wire.content),
    timeMs: millisOf(wire.acceptTime),
    clientMessageId: wire.clientMessageId,
  };
}

/** Tells who joined, left or changed. */
export function noteOfMembership({ seq, acceptTime, actorId, change, members }: MembershipChanged): Note {
  return {
    kind: "note",
    seq: Number(seq),
    timeMs: millisOf(acceptTime),
    actorId,
    change,
    userIds: members.map(({ userId }) => userId),
    role: members[0]?.role,
  };
}

/** Tells that a group was created or disbanded, or that its settings changed. */
export function noteOfSettings({ seq, updaterId, updateTime, disbandTime }: Group): Note {
  return {
    kind: "note",
    seq: Number(seq),
    timeMs: millisOf(disbandTime ?? updateTime),
    actorId: updaterId,
    // The log of a group begins with its settings.
    change: disbandTime ? "disbanded" : seq === 1n ? "created" : "settings",
    userIds: [],
  };
}

/** Returns a time in milliseconds since 1970; 0 when it is not set. */
export function millisOf(time: Timestamp | undefined): number {
  return epochMillis(time) ?? 0;
}

function textOf(content: Content | undefined): string {
  if (content?.kind.case === "text") return content.kind.value.body;
  return content?.fallbackText || unknownContent;
}
