/** What came over the streams of a client that sees streams. */

import type { DumpEvent } from "../dump.ts";
import type { History, SeenEvent } from "../history.ts";
import { type Findings, nameOf, Place } from "./findings.ts";
import { indexAbove, type LogIndex } from "./log-index.ts";
import type { MembershipTimeline } from "./membership-timeline.ts";
import { checkAgreement } from "./sightings.ts";

/** A stream, and how far it has got. */
interface Stream {
  /** Everything due after this position has to come. */
  start: number;
  resumed: boolean;
  /** Whether its events can be compared with the dump: the store is the same. */
  current: boolean;
  /** Which of the events due comes next. */
  next: number;
  /** How many events it brought. */
  count: number;
  lastPosition: number;
  lastSeqs: Map<string, number>;
}

/** What streams are held against. */
export interface StreamRules {
  log: LogIndex;
  timeline: MembershipTimeline;
  findings: Findings;
  /** Whether everything due has to have come in the end. */
  expectCaughtUp: boolean;
}

/**
 * Checks each stream of a client: I4 Agreement, I5 Ordered and unique, I6
 * Reliable, I7 Resumable, I9 MembersOnly, and I12 Live where it is expected.
 *
 * @param from the first entry that the dump's store has to do with
 */
export function checkStreams(history: History, from: number, rules: StreamRules): void {
  const { timeline, findings, log, expectCaughtUp } = rules;
  const due = timeline.due(history.userId);
  const streams = new Map<number, Stream>();
  let last: Stream | undefined;
  /** How far the client has got, over all streams. */
  let through: number | undefined;

  const where = new Place(history);
  history.entries.forEach((entry, index) => {
    if (!("stream" in entry)) return;
    where.index = index;
    where.stream = entry.stream;
    if (entry.type === "opened") {
      const current = index >= from && entry.epoch === log.epoch;
      if (index >= from && !current)
        findings.add("I4", `${where}: opened in epoch ${entry.epoch}, the log has ${log.epoch}`);
      const stream = openStream(entry.position, entry.resumed, current, due);
      streams.set(entry.stream, stream);
      if (!current) return;
      if (through !== undefined) checkSkipped(where, due, through, stream, findings);
      through = Math.max(through ?? 0, entry.position);
      last = stream;
      return;
    }
    const stream = streams.get(entry.stream);
    if (stream === undefined) {
      if (entry.type === "event")
        findings.add("I6", `${where}: ${nameOf(entry.event)} came before the stream was open`);
      return;
    }
    switch (entry.type) {
      case "behind":
        stream.start = entry.position;
        stream.next = indexAbove(due, entry.position);
        if (stream.current) through = Math.max(through ?? 0, entry.position);
        return;
      case "event": {
        if (!checkOrder(where, stream, entry.event, findings) || !stream.current) return;
        const stored = checkAgreement(where, entry.event, log, findings);
        if (stored === undefined) return;
        through = Math.max(through ?? 0, stored.position);
        checkDelivery(where, history.userId, stream, stored, due, rules);
        return;
      }
      case "caught-up":
        if (!stream.current) return;
        for (const event of missingUpTo(entry.position, stream, due))
          findings.add("I6", `${where}: caught up to ${entry.position} without ${nameOf(event)}`);
    }
  });

  if (!expectCaughtUp) return;
  const missing = due.slice(last?.next ?? 0);
  if (missing[0] !== undefined)
    findings.add(
      "I12",
      `${history.client} never got ${missing.length} events, from ${nameOf(missing[0])} on`,
    );
}

function openStream(start: number, resumed: boolean, current: boolean, due: readonly DumpEvent[]): Stream {
  const next = indexAbove(due, start);
  return { start, resumed, current, next, count: 0, lastPosition: 0, lastSeqs: new Map() };
}

/** A stream goes on where its client was, or before. */
function checkSkipped(
  where: Place,
  due: readonly DumpEvent[],
  through: number,
  { start, next }: Stream,
  findings: Findings,
): void {
  const first = indexAbove(due, through);
  if (first >= next) return;
  findings.add(
    "I7",
    `${where}: goes on after ${start}, its client was at ${through}: ${next - first} events are skipped, from ${nameOf(due[first] as DumpEvent)} on`,
  );
}

/** @returns whether the event comes after all others */
function checkOrder(where: Place, stream: Stream, event: SeenEvent, findings: Findings): boolean {
  const { conversationId, seq, position } = event;
  const { lastPosition, lastSeqs } = stream;
  const lastSeq = lastSeqs.get(conversationId) ?? 0;
  const rises = position > lastPosition && seq > lastSeq;
  if (!rises)
    findings.add("I5", `${where}: ${nameOf(event)} came after position ${lastPosition} and seq ${lastSeq}`);
  stream.lastPosition = Math.max(lastPosition, position);
  lastSeqs.set(conversationId, Math.max(lastSeq, seq));
  return rises;
}

function checkDelivery(
  where: Place,
  userId: string,
  stream: Stream,
  event: DumpEvent,
  due: readonly DumpEvent[],
  { timeline, findings }: StreamRules,
): void {
  if (event.position <= stream.start) {
    findings.add("I7", `${where}: ${nameOf(event)} came, though the stream goes on after ${stream.start}`);
    return;
  }
  const rule = stream.resumed && stream.count === 0 ? "I7" : "I6";
  for (const missing of missingUpTo(event.position - 1, stream, due))
    findings.add(rule, `${where}: ${nameOf(event)} came without ${nameOf(missing)}`);
  stream.count++;
  if (due[stream.next] === event) stream.next++;
  else if (!timeline.maySee(userId, event))
    findings.add("I9", `${where}: ${userId} got ${nameOf(event)} and is not to see it`);
}

const none: readonly DumpEvent[] = [];

/** Goes on to what is due after a position, and returns what is due before and has not come. */
function missingUpTo(position: number, stream: Stream, due: readonly DumpEvent[]): readonly DumpEvent[] {
  const first = stream.next;
  while (stream.next < due.length && (due[stream.next] as DumpEvent).position <= position) stream.next++;
  return first === stream.next ? none : due.slice(first, stream.next);
}
