const firstChunk = 8;
const chunkGrowth = 8;
const maxChunk = 1024;

/** A run of events of one conversation that a user may get, and the positions of its first ones. */
export interface Stretch {
  conversation: number;
  /** The first seq whose position is not known yet. */
  nextSeq: number;
  /** The last seq, itself included. */
  toSeq: number;
  positions: number[];
}

/** How many positions of each stretch are read at first. */
export const firstPositions = firstChunk;

/** Reads positions of stretches from `nextSeq` on, at most `count` of each. */
export type ReadPositions = (stretches: readonly Stretch[], count: number) => Promise<number[][]>;

/**
 * Returns the lowest positions of stretches in rising order, up to `limit`,
 * reading no more than it must: in rounds, and only where what is not known yet
 * may belong to them.
 */
export async function mergePositions(
  stretches: readonly Stretch[],
  limit: number,
  read: ReadPositions,
): Promise<number[]> {
  for (let chunk = firstChunk * chunkGrowth; ; chunk = Math.min(chunk * chunkGrowth, maxChunk)) {
    const known = stretches.flatMap(({ positions }) => positions).sort((a, b) => a - b);
    const lowest = known.slice(0, limit);
    const highest = lowest.length < limit ? Number.POSITIVE_INFINITY : (lowest.at(-1) as number);
    const open = stretches.filter(
      ({ nextSeq, toSeq, positions }) => nextSeq <= toSeq && (positions.at(-1) ?? 0) < highest,
    );
    if (open.length === 0) return lowest;
    const more = await read(open, chunk);
    for (const [n, stretch] of open.entries()) {
      const positions = more[n] ?? [];
      stretch.positions.push(...positions);
      stretch.nextSeq += positions.length;
      // An event that is told of but not there would be asked for without end.
      if (positions.length === 0)
        throw new Error(`conversation ${stretch.conversation} lacks ${stretch.nextSeq}`);
    }
  }
}
