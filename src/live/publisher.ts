import { fromBinary } from "@bufbuild/protobuf";
import { MembershipChangedSchema } from "../../gen/parlance/chat/v1/group_pb.js";
import { eventKindOf, withheldOf } from "../../wire/event-field.ts";
import type { LogFramer } from "../../wire/event-frame.ts";
import { EventKind, type LogEvent } from "../../wire/log-event.ts";
import { type Bus, type LogMessage, subjects, subjectsOf } from "../bus/bus.ts";

/** The most subjects of an event that a notice names. */
const maxNamed = 32;

/**
 * Makes the listener that puts what a commit appended on the bus: a direct
 * conversation's events on both users' subjects, a group's on the group's, and
 * changes of membership also on those of the users concerned, whose nodes may
 * not know the group yet. Then everyone is told which events there are.
 */
export function createPublisher(bus: Bus, frame: LogFramer): (events: readonly LogEvent[]) => void {
  return (events) => {
    const named: string[][] = [];
    for (const event of events) {
      const on = allSubjectsOf(event);
      const message = logMessage(event, frame);
      for (const subject of on) bus.publish(subject, message);
      named.push(on.length > maxNamed ? [] : on);
    }
    const firstPosition = events[0]?.position ?? 0;
    bus.publish(subjects.log, { type: "notice", firstPosition, subjects: named });
  };
}

function allSubjectsOf(event: LogEvent): string[] {
  const on = subjectsOf(event.conversationId);
  if (event.kind === EventKind.MEMBERSHIP) {
    const { members } = fromBinary(MembershipChangedSchema, event.body);
    for (const { userId } of members) on.push(subjects.user(userId));
  }
  return on;
}

/** Makes the message of the bus for an event. */
export function logMessage(event: LogEvent, frame: LogFramer): LogMessage {
  const message: LogMessage = {
    type: "log",
    conversationId: event.conversationId,
    seq: event.seq,
    position: event.position,
    kind: eventKindOf(event.kind, event.body),
    frame: frame(event),
  };
  const { audience } = event;
  if (audience !== undefined) message.limited = { audience, withheldFrame: frame(withheldOf(event)) };
  return message;
}
