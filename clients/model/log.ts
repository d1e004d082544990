/** Takes events of the log into the conversation they are of. */

import { changeOrAdd } from "./conversations.ts";
import { withoutSent } from "./outgoing.ts";
import type { ChatState, Conversation, Entry, Message, Note } from "./state.ts";
import { addEntry, shortened } from "./timeline.ts";

/** The most changes of a group that are kept beside its history. */
const maxNotes = 100;

/** Takes in a message, as an event or as the answer to one's own send. */
export function withMessage<S extends ChatState>(state: S, id: string, message: Message): S {
  return changeOrAdd(state, id, (former) => {
    const { lastMessage, outgoing, typing, activityMs } = former;
    return {
      ...withEntry(former, message, id === state.openId),
      outgoing: withoutSent(outgoing, message, state.userId),
      typing: new Map([...typing].filter(([userId]) => userId !== message.senderId)),
      lastMessage: lastMessage !== undefined && lastMessage.seq >= message.seq ? lastMessage : message,
      activityMs: Math.max(activityMs, message.timeMs),
    };
  });
}

/** Takes in a change of a group. */
export function withNote<S extends ChatState>(state: S, id: string, note: Note): S {
  return changeOrAdd(state, id, (former) => ({
    ...withEntry(former, note, id === state.openId),
    notes: former.notes.some(({ seq }) => seq === note.seq)
      ? former.notes
      : [...former.notes, note].sort((a, b) => a.seq - b.seq).slice(-maxNotes),
    // Where nothing was said yet, it counts from when the conversation began.
    activityMs: former.activityMs || note.timeMs,
  }));
}

function withEntry(former: Conversation, entry: Entry, open: boolean): Conversation {
  if (former.timeline === undefined) return former;
  const timeline = addEntry(former.timeline, entry);
  // In the open one somebody may be reading what is old.
  return { ...former, timeline: open ? timeline : shortened(timeline) };
}
