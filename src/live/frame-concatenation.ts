/** One of several encoded `StreamResponse`s, and the one after it. */
export interface Part {
  readonly frame: Uint8Array;
  readonly next: Part | undefined;
}

/** Puts encoded `StreamResponse`s, `count` of them from `first` on and `size` bytes in all, into one. */
export type Concatenate = (first: Part, count: number, size: number) => Uint8Array;

/**
 * Makes a concatenation that remembers what it made last. The members of a busy group
 * are woken one after another and all have the same events waiting, so they
 * share one copy.
 */
export function createConcatenation(): Concatenate {
  let parts: Uint8Array[] = [];
  let whole = new Uint8Array();

  function isSame(first: Part, count: number): boolean {
    if (count !== parts.length) return false;
    let part: Part | undefined = first;
    for (const frame of parts) {
      if (part?.frame !== frame) return false;
      part = part.next;
    }
    return true;
  }

  return (first, count, size) => {
    if (isSame(first, count)) return whole;
    whole = Buffer.allocUnsafe(size);
    parts = [];
    let at = 0;
    for (let part: Part | undefined = first; parts.length < count && part !== undefined; part = part.next) {
      whole.set(part.frame, at);
      at += part.frame.length;
      parts.push(part.frame);
    }
    return whole;
  };
}
