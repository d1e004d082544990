import type { Audience, LogEvent } from "../../../../wire/log-event.ts";
import { joinBodies } from "./bodies.ts";

/** Log events on their way from the reader, as flat arrays. */
export interface PackedEvents {
  /** Two for each: conversation, sender. */
  strings: string[];
  /** Five for each: position, seq, kind, time, length of the body. */
  numbers: Float64Array<ArrayBuffer>;
  /** All bodies, one after another. */
  bodies: Uint8Array<ArrayBuffer>;
  /** The audiences of the few that have one, by their number among the events. */
  audiences: [number, Audience][];
}

/** Packs events. */
export function packEvents(events: readonly LogEvent[]): PackedEvents {
  const strings: string[] = [];
  const numbers = new Float64Array(events.length * 5);
  const audiences: [number, Audience][] = [];
  for (const [n, event] of events.entries()) {
    strings.push(event.conversationId, event.senderId);
    numbers.set([event.position, event.seq, event.kind, event.acceptTimeMs, event.body.length], n * 5);
    if (event.audience !== undefined) audiences.push([n, event.audience]);
  }
  return { strings, numbers, bodies: joinBodies(events), audiences };
}

/** Unpacks events; their bodies share one buffer. */
export function unpackEvents({ strings, numbers, bodies, audiences }: PackedEvents): LogEvent[] {
  const events: LogEvent[] = [];
  let offset = 0;
  for (let n = 0, s = 0; n < numbers.length; n += 5, s += 2) {
    const end = offset + (numbers[n + 4] as number);
    events.push({
      position: numbers[n] as number,
      conversationId: strings[s] as string,
      seq: numbers[n + 1] as number,
      kind: numbers[n + 2] as number,
      senderId: strings[s + 1] as string,
      acceptTimeMs: numbers[n + 3] as number,
      body: bodies.subarray(offset, end),
    });
    offset = end;
  }
  for (const [n, audience] of audiences) (events[n] as LogEvent).audience = audience;
  return events;
}
