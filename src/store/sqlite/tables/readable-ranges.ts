import type { DatabaseSync, StatementSync } from "node:sqlite";

/** A run of events of one conversation that a user may get. */
export interface Stretch {
  conversation: number;
  fromSeq: number;
  /** The last seq, itself included. */
  toSeq: number;
}

/** The events that a user missed in one conversation. */
export interface MissedRun extends Stretch {
  /** Whether the user is in the conversation now. */
  isMember: boolean;
}

/** Finds which stretches of the log are a user's. */
export class ReadableRanges {
  readonly #select: StatementSync;
  readonly #selectPast: StatementSync;
  readonly #selectPresent: StatementSync;
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
    // Of several stays in one conversation the first begins lowest and ends lowest.
    this.#selectPast = database.prepare(`
      SELECT conversation, min(from_seq) AS fromSeq, min(to_seq) AS firstToSeq, max(to_seq) AS toSeq
      FROM past_stays WHERE user_id = ? AND to_position > ? AND conversation > ?
      GROUP BY conversation ORDER BY conversation LIMIT ?
    `);
    this.#selectPresent = database.prepare(`
      SELECT conversation, join_seq AS fromSeq,
        (SELECT seq FROM events e WHERE e.conversation = m.conversation ORDER BY seq DESC LIMIT 1) AS toSeq
      FROM members m
      WHERE user_id = :userId AND conversation > :from AND :after <
        (SELECT position FROM events e WHERE e.conversation = m.conversation ORDER BY seq DESC LIMIT 1)
      ORDER BY conversation LIMIT :limit
    `);
    this.#selectPosition = database.prepare("SELECT position FROM events WHERE conversation = ? AND seq = ?");
  }

  /** Returns the stretches of a user above a position, one for each stay that has some. */
  above(userId: string, afterPosition: number): Stretch[] {
    const stays = this.#select.all({ userId, after: afterPosition }) as unknown as Stretch[];
    return stays.map((stay) => ({ ...stay, fromSeq: this.#firstAbove(stay, afterPosition) }));
  }

  /** Returns what a user missed above a position, one run for each conversation with a key above `from`, by key. */
  missedRuns(userId: string, afterPosition: number, from: number, limit: number): MissedRun[] {
    const runs = new Map<number, MissedRun>();
    const past = this.#selectPast.all(userId, afterPosition, from, limit) as unknown as (Stretch & {
      firstToSeq: number;
    })[];
    for (const { firstToSeq, ...stay } of past) {
      const fromSeq = this.#firstAbove({ ...stay, toSeq: firstToSeq }, afterPosition);
      runs.set(stay.conversation, { ...stay, fromSeq, isMember: false });
    }
    const present = this.#selectPresent.all({ userId, from, after: afterPosition, limit });
    for (const stay of present as unknown as Stretch[]) {
      const fromSeq = runs.get(stay.conversation)?.fromSeq ?? this.#firstAbove(stay, afterPosition);
      runs.set(stay.conversation, { ...stay, fromSeq, isMember: true });
    }
    return [...runs.values()].sort((a, b) => a.conversation - b.conversation).slice(0, limit);
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
