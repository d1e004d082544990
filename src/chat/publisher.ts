import { fromBinary } from "@bufbuild/protobuf";
import { MembershipChangedSchema } from "../../gen/parlance/chat/v1/group_pb.js";
import { type Bus, type LogMessage, subjects } from "../bus/bus.ts";
import { EventKind, type LogEvent } from "../store/store.ts";
import { parseConversationId } from "./ids.ts";
import type { LogFramer } from "./log-frame.ts";

/**
 * Makes the listener that puts what the store appended on the bus: a direct
 * conversation's events on both users' subjects, a group's on the group's, and
 * changes of membership also on those of the users concerned, whose nodes may
 * not know the group yet.
 */
export function createPublisher(bus: Bus, frame: LogFramer): (event: LogEvent) => void {
  return (event) => {
    const target = parseConversationId(event.conversationId);
    if (target === undefined) return;
    const message = logMessage(event, frame);
    if (target.kind === "direct") {
      bus.publish(subjects.user(target.userIds[0]), message);
      bus.publish(subjects.user(target.userIds[1]), message);
      return;
    }
    bus.publish(subjects.group(target.groupId), message);
    if (event.kind === EventKind.MEMBERSHIP) {
      for (const member of fromBinary(MembershipChangedSchema, event.body).members) {
        bus.publish(subjects.user(member.userId), message);
      }
    }
  };
}

/** Makes the message of the bus for an event. */
export function logMessage(event: LogEvent, frame: LogFramer): LogMessage {
  return {
    type: "log",
    conversationId: event.conversationId,
    seq: event.seq,
    position: event.position,
    kind: event.kind,
    frame: frame(event),
  };
}
