import type { DatabaseSync, StatementSync } from "node:sqlite";

/** A run of events of one conversation that a user may get. */
export interface Stretch {
  conversation: number;
  fromSeq: number;
  /** The last seq, itself included. */
  toSeq: number;
}

/** Finds which stretches of the log are a user's. */
export class Stays {
  readonly #select: StatementSync;
  readonly #selectPosition: StatementSync;

  constructor(database: DatabaseSync) {
    // A conversation where nothing happened costs one probe of an index.
    this.#select = database.prepare(`
      SELECT conversation, from_seq AS fromSeq, to_seq AS toSeq FROM past_stays
      WHERE user_id = :userId AND to_position > :after
      UNION ALL
      SELECT conversation, join_seq,
        (SELECT seq FROM events e WHERE e.conversation = m.conversation ORDER BY seq DESC LIMIT 1)
      FROM members m
      WHERE user_id = :userId AND :after <
        (SELECT position FROM events e WHERE e.conversation = m.conversation ORDER BY seq DESC LIMIT 1)
    `);
    this.#selectPosition = database.prepare("SELECT position FROM events WHERE conversation = ? AND seq = ?");
  }

  /** Returns the stretches of a user above a position, one for each stay that has some. */
  above(userId: string, afterPosition: number): Stretch[] {
    const stays = this.#select.all({ userId, after: afterPosition }) as unknown as Stretch[];
    return stays.map((stay) => ({ ...stay, fromSeq: this.#firstAbove(stay, afterPosition) }));
  }

  /**
   * Returns the first seq of a stretch above a position; the last one is known
   * to be. Looks back from the end in growing steps, as little is missing most
   * of the time, then halves the step where it passed the place.
   */
  #firstAbove({ conversation, fromSeq, toSeq }: Stretch, afterPosition: number): number {
    const isAbove = (seq: number) =>
      Number(this.#selectPosition.get(conversation, seq)?.position) > afterPosition;
    let high = toSeq;
    let low = fromSeq;
    for (let step = 1; high - step >= fromSeq; step *= 2) {
      if (isAbove(high - step)) {
        high -= step;
      } else {
        low = high - step + 1;
        break;
      }
    }
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (isAbove(middle)) high = middle;
      else low = middle + 1;
    }
    return high;
  }
}
