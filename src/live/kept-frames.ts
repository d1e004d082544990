import type { LogFramer } from "../../wire/event-frame.ts";

/** How many of the last frames are kept, and how large those may be: at most 16 MiB in all. */
const keptFrames = 4_096;
const maxKeptBytes = 4_096;

/**
 * Makes a framer that keeps the last frames of another: readers that cannot
 * keep up read the end of the log one by one, and share its frames nevertheless.
 *
 * For them only: what is kept outlives the young generation of the heap, and
 * with each frame the whole piece of memory it was cut from.
 */
export function keepFrames(encode: LogFramer): LogFramer {
  const positions = new Array<number>(keptFrames).fill(0);
  /** Of one event there are two frames where it is withheld from some. */
  const kinds = new Array<number>(keptFrames).fill(0);
  const frames = new Array<Uint8Array | undefined>(keptFrames).fill(undefined);
  return (event) => {
    const slot = event.position % keptFrames;
    const kept = positions[slot] === event.position && kinds[slot] === event.kind ? frames[slot] : undefined;
    if (kept !== undefined) return kept;
    const frame = encode(event);
    if (frame.length <= maxKeptBytes) {
      positions[slot] = event.position;
      kinds[slot] = event.kind;
      frames[slot] = frame;
    }
    return frame;
  };
}
