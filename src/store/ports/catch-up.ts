import type { CatchUpPage, Missed, MissedPage } from "../../model/records.ts";

/** Reads what a user has not got yet. */
export interface CatchUpStore {
  /**
   * Returns the next page of a user's events above a position: at most `limit`
   * events, and no further one once their bodies exceed `maxBytes`.
   */
  readMissed(userId: string, afterPosition: number, limit: number, maxBytes: number): Promise<CatchUpPage>;
  /** Counts a user's events above a position, up to `limit` plus one. */
  countMissed(userId: string, afterPosition: number, limit: number): Promise<Missed>;
  /**
   * Lists the conversations in which a user has events above a position, in an
   * order that stays the same: at most `limit` of them, and no further one once
   * the bodies of `ended` exceed `maxBytes`. What happens between two pages may
   * show in the later one.
   *
   * @param from 0, or `next` of the page before
   */
  listMissed(
    userId: string,
    afterPosition: number,
    from: number,
    limit: number,
    maxBytes: number,
  ): Promise<MissedPage>;
  /**
   * Returns the position before the first message of others that the user has
   * not read and that came since they joined, or the last position when there
   * is none. It may be lower, never higher.
   */
  firstUnreadPosition(userId: string): Promise<number>;
}
