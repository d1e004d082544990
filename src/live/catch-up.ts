import { eventKindOf, withheldOf } from "../../wire/event-field.ts";
import type { LogFramer } from "../../wire/event-frame.ts";
import type { CatchUpStore } from "../store/ports/catch-up.ts";
import type { StoreIdentity } from "../store/ports/identity.ts";
import { tellBehind } from "./behind.ts";
import { cursorAt, encodeEvent } from "./frames.ts";
import { Semaphore } from "./semaphore.ts";
import type { Session } from "./session.ts";

/** The most events, and bytes of bodies, of one page. */
const pageEvents = 256;
const pageBytes = 262_144;

/**
 * The most sessions for which the log is read at once. What a read brings keeps
 * the event loop busy for a millisecond or so; a thousand devices that come back
 * together must not hold up those who are live.
 */
const maxReads = 4;

/** Reads the next page of the log for a session that is behind. */
export type CatchUp = (session: Session) => Promise<void>;

/**
 * Makes the reader of the log for sessions that are behind: fresh ones, those
 * that were away, and those whose outbox overflowed are all the same case.
 *
 * It reads a page after what the session has. Live events that arrive
 * meanwhile are noted by the session; when the page is the last, those above it
 * follow and the session is live. So nothing falls between the log and what
 * comes live, and nothing comes twice.
 *
 * A session for which too much waits is first told where it is behind, a page
 * of conversations at a time as well.
 */
export function createCatchUp(store: StoreIdentity & CatchUpStore, frame: LogFramer): CatchUp {
  const reads = new Semaphore(maxReads);
  const read = async (session: Session) => {
    if (session.ending) return;
    if (session.untold !== undefined) {
      await tellBehind(store, session, session.untold);
      return;
    }
    session.beginRead();
    const page = await store.readMissed(session.caller.userId, session.through, pageEvents, pageBytes);
    const withheld = new Set(page.withheld);
    for (const event of page.events) {
      const shown = withheld.has(event.position) ? withheldOf(event) : event;
      session.pushRead(eventKindOf(event.kind, event.body), frame(shown), event.position);
    }
    if (session.endRead(page.through, page.more)) {
      session.announceCaughtUp(() =>
        encodeEvent({ case: "caughtUp", value: { cursor: cursorAt(store.epoch, session.through) } }),
      );
    }
  };
  return (session) => reads.run(() => read(session));
}
