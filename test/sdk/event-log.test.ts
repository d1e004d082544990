import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EventLog } from "../../clients/typescript/event-log.ts";
import { seed } from "../support/seed.ts";

describe("an event log", () => {
  test("shows the first event of a conversation whatever its seq", () => {
    const log = new EventLog();
    expect(log.take("g:a", 7, 100, false)).toBe("new");
    expect(log.take("g:a", 8, 101, false)).toBe("new");
    expect(log.resumePosition).toBe(101);
  });

  test("drops what it has already shown", () => {
    const log = new EventLog();
    log.take("g:a", 7, 100, false);
    log.take("g:a", 8, 101, false);
    expect(log.take("g:a", 7, 100, false)).toBe("repeat");
    expect(log.take("g:a", 8, 101, false)).toBe("repeat");
    expect(log.repeats).toBe(2);
  });

  test("goes back before a gap and shows what was missing", () => {
    const log = new EventLog();
    log.take("g:a", 1, 10, false);
    log.take("g:b", 1, 12, false);
    expect(log.take("g:a", 3, 13, false)).toBe("gap");
    expect(log.take("g:b", 2, 14, false)).toBe("gap");
    expect(log.resumePosition).toBe(10);

    log.startStream();
    expect(log.take("g:a", 2, 11, false)).toBe("new");
    expect(log.take("g:b", 1, 12, false)).toBe("repeat");
    expect(log.take("g:a", 3, 13, false)).toBe("new");
    expect(log.take("g:b", 2, 14, false)).toBe("new");
    expect(log.resumePosition).toBe(14);
    expect(log.gaps).toBe(1);
  });

  test("takes a gap as it is that another stream has too", () => {
    const log = new EventLog();
    log.take("g:a", 1, 10, false);
    expect(log.take("g:a", 3, 13, false)).toBe("gap");
    log.startStream();
    expect(log.take("g:a", 3, 13, false)).toBe("new");
    expect(log.acceptedGaps).toBe(1);
  });

  test("expects no events of the time before joining again", () => {
    const log = new EventLog();
    log.take("g:a", 1, 10, false);
    expect(log.take("g:a", 9, 20, true)).toBe("new");
  });

  test("expects gaps where only some kinds of events were asked for", () => {
    const log = new EventLog({ gapless: false });
    log.take("g:a", 1, 10, false);
    expect(log.take("g:a", 9, 20, false)).toBe("new");
    expect(log.take("g:a", 8, 19, false)).toBe("repeat");
  });

  test("goes on after what was read from the history", () => {
    const log = new EventLog();
    log.moveTo("e", 5);
    log.take("g:a", 1, 10, false);
    expect(log.takeFromHistory("g:a", 1)).toBe("repeat");
    expect(log.takeFromHistory("g:a", 4)).toBe("new");
    log.skipTo("g:a", 6, 30);
    log.moveTo("e", 30);
    expect(log.take("g:a", 6, 30, false)).toBe("repeat");
    expect(log.take("g:a", 7, 31, false)).toBe("new");
  });
});

/** An event of a log. */
interface Entry {
  conversationId: string;
  seq: number;
  position: number;
}

/** Builds a log from the conversations of its events, in order. */
function logOf(conversations: readonly number[]): Entry[] {
  const seqs = new Map<number, number>();
  return conversations.map((conversation, index) => {
    const seq = (seqs.get(conversation) ?? 0) + 1;
    seqs.set(conversation, seq);
    return { conversationId: `g:${conversation}`, seq, position: index + 1 };
  });
}

/** What a stream does to the events it carries. */
const fault = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ kind: "deliver" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "lose" as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("repeat" as const), back: fc.nat(10) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("swap" as const) }) },
);

test("every event is shown once and in order, whatever streams do to them", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(3), { minLength: 1, maxLength: 60 }),
      fc.array(fc.array(fault, { maxLength: 40 }), { maxLength: 8 }),
      (conversations, streams) => {
        const all = new Set(conversations);
        // One more event of each reveals what was lost of its end.
        const entries = logOf([...conversations, ...all]);
        const log = new EventLog();
        const shown = new Map<string, number[]>();

        const take = ({ conversationId, seq, position }: Entry) => {
          const verdict = log.take(conversationId, seq, position, false);
          if (verdict === "new") shown.set(conversationId, [...(shown.get(conversationId) ?? []), seq]);
          return verdict;
        };

        // What was received of every conversation before the faults begin.
        const heads = [...all].map((conversation) => `g:${conversation}`);
        for (const conversationId of heads) log.skipTo(conversationId, 0, 0);
        log.moveTo("e", 0);

        for (const faults of streams) {
          log.startStream();
          let next = log.resumePosition;
          for (const each of faults) {
            const entry = entries[next];
            if (entry === undefined) break;
            if (each.kind === "deliver") take(entry);
            if (each.kind === "repeat") take(entries[Math.max(0, next - each.back)] as Entry);
            if (each.kind === "swap" && entries[next + 1]) {
              take(entries[next + 1] as Entry);
              take(entry);
              next++;
            }
            if (each.kind !== "repeat") next++;
          }
        }
        // Streams without faults, until one ends without a gap. Those that were
        // passed over at the end of a conversation are found by its last event.
        for (let more = true, tries = 0; more; tries++) {
          expect(tries).toBeLessThan(20);
          log.startStream();
          more = entries.slice(log.resumePosition).some((entry) => take(entry) === "gap");
          if (!more && tries === 0) {
            more = entries.slice(-all.size).some((entry) => take(entry) === "gap");
          }
        }

        for (const conversationId of heads) {
          const seqs = shown.get(conversationId) ?? [];
          expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
          // Two streams that lose the very same events make it look as if there were none.
          if (log.acceptedGaps > 0) continue;
          const count = entries.filter((entry) => entry.conversationId === conversationId).length;
          expect(seqs).toEqual(Array.from({ length: count }, (_, index) => index + 1));
        }
      },
    ),
    { seed: seed(), numRuns: 500 },
  );
});
