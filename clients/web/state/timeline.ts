import type { Entry, Timeline } from "./model.ts";

/** Returns a timeline whose newest page is being fetched. */
export function loadingTimeline(): Timeline {
  return { entries: [], complete: false, loading: true };
}

/**
 * Adds an event. One that is there already is left as it is; one that is older
 * than what is loaded comes with its page.
 */
export function addEntry(timeline: Timeline, entry: Entry): Timeline {
  const { entries, complete, loading } = timeline;
  const first = entries[0];
  const last = entries.at(-1);
  if (last === undefined || entry.seq > last.seq) return { ...timeline, entries: [...entries, entry] };
  if (first !== undefined && entry.seq < first.seq && !complete && !loading) return timeline;
  return { ...timeline, entries: merge(entries, [entry]) };
}

/**
 * Adds a page of the history.
 *
 * @param complete whether there is no older page
 */
export function addPage(timeline: Timeline, page: readonly Entry[], complete: boolean): Timeline {
  return { entries: merge(page, timeline.entries), complete, loading: false };
}

function merge(left: readonly Entry[], right: readonly Entry[]): Entry[] {
  const bySeq = new Map<number, Entry>();
  for (const entry of [...left, ...right]) if (!bySeq.has(entry.seq)) bySeq.set(entry.seq, entry);
  return [...bySeq.values()].sort((a, b) => a.seq - b.seq);
}
