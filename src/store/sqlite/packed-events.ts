import type { EventKind, LogEvent } from "../store.ts";
import { joinBodies } from "./bodies.ts";

/** Log events on their way from the reader, as flat arrays. */
export interface PackedEvents {
  /** Two for each: conversation, sender. */
  strings: string[];
  /** Five for each: position, seq, kind, time, length of the body. */
  numbers: Float64Array<ArrayBuffer>;
  /** All bodies, one after another. */
  bodies: Uint8Array<ArrayBuffer>;
}

/** Packs events. */
export function packEvents(events: readonly LogEvent[]): PackedEvents {
  const strings: string[] = [];
  const numbers = new Float64Array(events.length * 5);
  for (const [n, event] of events.entries()) {
    strings.push(event.conversationId, event.senderId);
    numbers.set([event.position, event.seq, event.kind, event.acceptTimeMs, event.body.length], n * 5);
  }
  return { strings, numbers, bodies: joinBodies(events) };
}

/** Unpacks events; their bodies share one buffer. */
export function unpackEvents({ strings, numbers, bodies }: PackedEvents): LogEvent[] {
  const events: LogEvent[] = [];
  let offset = 0;
  for (let n = 0, s = 0; n < numbers.length; n += 5, s += 2) {
    const end = offset + (numbers[n + 4] as number);
    events.push({
      position: numbers[n] as number,
      conversationId: strings[s] as string,
      seq: numbers[n + 1] as number,
      kind: numbers[n + 2] as EventKind,
      senderId: strings[s + 1] as string,
      acceptTimeMs: numbers[n + 3] as number,
      body: bodies.subarray(offset, end),
    });
    offset = end;
  }
  return events;
}
