import type { Conversation, Entry, Message, Notice, Timeline } from "./model.ts";

/** From here on a timeline that is read at its end forgets its oldest half, which can be loaded again. */
const maxEntries = 4_000;

/** Returns a timeline whose newest page is being fetched. */
export function loadingTimeline(entries: readonly Notice[] = []): Timeline {
  return { id: Symbol("timeline"), entries, older: "loading" };
}

/**
 * Adds an entry as it happens. One that is older than what is loaded comes with
 * its page.
 */
export function addEntry(timeline: Timeline, entry: Message | Notice): Timeline {
  const [first] = timeline.entries;
  if (first !== undefined && entry.seq < first.seq && timeline.older !== "none") return timeline;
  return place(timeline, entry);
}

/**
 * Puts an entry at its place. An event of the log that is there already is left
 * as it is; what the program says comes after all that is there with its seq.
 */
function place(timeline: Timeline, entry: Message | Notice): Timeline {
  const { entries } = timeline;
  let at = entries.length;
  while (at > 0 && (entries[at - 1]?.seq ?? 0) > entry.seq) at--;
  if (isLogged(entry)) {
    for (let i = at - 1; i >= 0 && entries[i]?.seq === entry.seq; i--) {
      if (isLogged(entries[i])) return timeline;
    }
  }
  return { ...timeline, entries: [...entries.slice(0, at), entry, ...entries.slice(at)] };
}

/** Adds a page of the history. */
export function addPage(timeline: Timeline, page: readonly Message[], older: Timeline["older"]): Timeline {
  return { ...page.reduce(place, timeline), older };
}

/** Forgets the oldest half of a timeline that has become very long. */
export function shortened(timeline: Timeline): Timeline {
  if (timeline.entries.length <= maxEntries) return timeline;
  return { ...loadingTimeline(), entries: timeline.entries.slice(-maxEntries / 2), older: "more" };
}

/** Returns the seq of the oldest message that is loaded, if any is. */
export function firstSeq(timeline: Timeline): number | undefined {
  return timeline.entries.find(({ kind }) => kind === "message")?.seq;
}

/** Returns what a conversation shows: what is loaded, then what is on its way. */
export function entriesOf({ timeline, outgoing }: Conversation): readonly Entry[] {
  const entries: readonly Entry[] = timeline?.entries ?? [];
  return outgoing.length === 0 ? entries : [...entries, ...outgoing];
}

/** Tells whether an entry is an event of the log. */
function isLogged(entry: Entry | undefined): boolean {
  return entry?.kind === "message" || (entry?.kind === "notice" && entry.tone === "event");
}
