/**
 * The field of `ServerEvent` in which an event of the log goes out, as it is stored.
 *
 * Kinds 1 to 3 are stored as the value of their field alone. Every later kind is
 * stored as the whole field, with its tag and length in front, so that a release
 * that does not know the kind passes it on as it is.
 */

import { ServerEventSchema } from "../gen/parlance/chat/v1/event_pb.js";
import { EventKind, type LogEvent } from "./log-event.ts";
import { lengthDelimited } from "./tags.ts";

/** A field of `ServerEvent`, in the body of an event. */
export interface EventField {
  /** Its number. */
  readonly number: number;
  /** Where in the body its value begins. It goes on to the body's end. */
  readonly start: number;
}

/** The number of `ServerEvent.message`, the field of all kinds of messages. */
export const messageField = ServerEventSchema.field.message.number;

const membershipField = ServerEventSchema.field.membershipChanged.number;
const groupField = ServerEventSchema.field.groupChanged.number;

const valueAlone: readonly (EventField | undefined)[] = [];
Object.assign(valueAlone, {
  [EventKind.MESSAGE]: { number: messageField, start: 0 },
  [EventKind.MEMBERSHIP]: { number: membershipField, start: 0 },
  [EventKind.GROUP]: { number: groupField, start: 0 },
});

/** Finds the field of an event in its body; undefined when the body of a kind above 3 is not one field of log events. */
export function fieldOf(kind: number, body: Uint8Array): EventField | undefined {
  return kind < valueAlone.length ? valueAlone[kind] : storedField(body);
}

function storedField(body: Uint8Array): EventField | undefined {
  const tag = readVarint(body, 0);
  if (tag === undefined || (tag.value & 7) !== lengthDelimited) return undefined;
  const size = readVarint(body, tag.end);
  if (size === undefined || size.end + size.value !== body.length) return undefined;
  const number = tag.value >>> 3;
  // Any other would be no tag at all, or take the place of the cursor or of what steers the session.
  return choiceOf.has(number) || number > 100 ? { number, start: size.end } : undefined;
}

/**
 * Tells by which `EventKind` of the proto sessions choose an event; 0 when by
 * none. It follows from the field, so nobody has to know the stored kind: of
 * fields above 100 it is the number less 100.
 */
export function eventKindOf(kind: number, body: Uint8Array): number {
  if (kind < valueAlone.length) return kind;
  const field = storedField(body);
  return field === undefined ? 0 : (choiceOf.get(field.number) ?? field.number - 100);
}

/** The stored form of a `Withheld`. */
const withheld = { kind: 0x7fff, body: new Uint8Array([0x82, 0x07, 0x00]) };

/** Returns what stands in the place of an event for those it is not for. They choose it as they choose the event. */
export function withheldOf(event: LogEvent): LogEvent {
  return { ...event, ...withheld };
}

/** Fields that do not have the number of their choice, plus 100. */
const choiceOf: ReadonlyMap<number, number> = new Map([
  [messageField, 1],
  [membershipField, 2],
  [groupField, 3],
  [113, 7],
]);

/** Reads a number of up to four bytes. */
function readVarint(bytes: Uint8Array, start: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let n = 0; n < 4; n++) {
    const byte = bytes[start + n];
    if (byte === undefined) return undefined;
    value |= (byte & 0x7f) << (7 * n);
    if (byte < 0x80) return { value, end: start + n + 1 };
  }
  return undefined;
}
