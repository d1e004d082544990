import type { Entry, Note, Timeline } from "./state.ts";

/** From here on a timeline that is read at its end forgets its oldest half, which can be loaded again. */
const maxEntries = 4_000;

/** Returns a timeline whose newest page is being fetched. */
export function loadingTimeline(): Timeline {
  return { id: Symbol("timeline"), entries: [], older: "loading" };
}

/**
 * Adds an event as it happens. One that is there already is left as it is; one
 * that is older than what is loaded comes with its page.
 */
export function addEntry(timeline: Timeline, entry: Entry): Timeline {
  const { entries, from = 0 } = timeline;
  const last = entries.at(-1);
  if (entry.seq < from) return timeline;
  if (last === undefined || entry.seq > last.seq) return { ...timeline, entries: [...entries, entry] };
  if (entries.some(({ seq }) => seq === entry.seq)) return timeline;
  return { ...timeline, entries: merge(entries, [entry]) };
}

/**
 * Adds a page of the history.
 *
 * @param notes what is known of other events, of which those belong to it that stand between its messages
 */
export function addPage(
  timeline: Timeline,
  page: readonly Entry[],
  older: Timeline["older"],
  notes: readonly Note[] = [],
): Timeline {
  const from = older === "none" ? 0 : Math.min(timeline.from ?? Infinity, ...page.map(({ seq }) => seq));
  const entries = merge(timeline.entries, [...page, ...notes]).filter(({ seq }) => seq >= from);
  return { ...timeline, entries, from, older };
}

/** Forgets the oldest half of a timeline that has become very long. */
export function shortened(timeline: Timeline): Timeline {
  if (timeline.entries.length <= maxEntries) return timeline;
  const entries = timeline.entries.slice(-maxEntries / 2);
  return { ...loadingTimeline(), entries, from: entries[0]?.seq ?? 0, older: "more" };
}

function merge(left: readonly Entry[], right: readonly Entry[]): Entry[] {
  const bySeq = new Map<number, Entry>();
  for (const entry of [...left, ...right]) if (!bySeq.has(entry.seq)) bySeq.set(entry.seq, entry);
  return [...bySeq.values()].sort((a, b) => a.seq - b.seq);
}
