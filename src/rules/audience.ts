/** Decides which of those who get a conversation's events get one of them. */

import type { Audience } from "../../wire/log-event.ts";

/** An audience as the columns of an event hold it. */
export interface AudienceColumns {
  aboutSeq: number | null;
  /** A list in JSON, which any database takes whatever is in the ids. */
  onlyUserIds: string | null;
}

/** Reads an audience; undefined for an event that is for everybody, as almost all are. */
export function audienceOf({ aboutSeq, onlyUserIds }: AudienceColumns): Audience | undefined {
  if (aboutSeq === null && onlyUserIds === null) return undefined;
  return {
    ...(aboutSeq !== null && { aboutSeq }),
    ...(onlyUserIds !== null && { userIds: userIdsIn(onlyUserIds) }),
  };
}

/** Reads a list of user ids. What is none, as after damage, names nobody, and stops no reader of the log. */
function userIdsIn(json: string): string[] {
  try {
    const ids: unknown = JSON.parse(json);
    return Array.isArray(ids) ? ids.filter((id) => typeof id === "string") : [];
  } catch {
    return [];
  }
}

/**
 * Decides whether a user gets an event. Who does not is told that an event
 * stands there, and nothing else.
 *
 * @param visibleFromSeq the first seq of the conversation that the user may read
 */
export function maySee({ aboutSeq, userIds }: Audience, userId: string, visibleFromSeq: number): boolean {
  return (
    (userIds === undefined || userIds.includes(userId)) &&
    (aboutSeq === undefined || aboutSeq >= visibleFromSeq)
  );
}
