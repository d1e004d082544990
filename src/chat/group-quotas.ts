import { ChatError, ErrorReason } from "../model/errors.ts";
import { InOrder } from "../store/in-order.ts";
import type { GroupStore } from "../store/ports/groups.ts";

/** How many groups a user may have, by the names of the settings; 0 for no limit. */
export interface GroupQuotaLimits {
  /** The most a user may be in. */
  maxGroupsPerUser: number;
  /** The most a user may own: those they created and those handed to them. */
  maxGroupsOwnedPerUser: number;
}

/** The users whom a change of a group adds to it or makes its owner. */
export interface Gain {
  /** The users who become members. */
  joining: readonly string[];
  /** The user who becomes the owner. */
  owner?: string | undefined;
}

/**
 * Keeps how many groups users are in and own. The store is asked right before a
 * change, and the changes of one user follow one another, so that many requests
 * at once get no further than one after another. On several nodes at once they
 * may get a few further.
 */
export class GroupQuotas {
  readonly #store: Pick<GroupStore, "countGroups">;
  readonly #limits: GroupQuotaLimits;
  readonly #order = new InOrder();

  constructor(store: Pick<GroupStore, "countGroups">, limits: GroupQuotaLimits) {
    this.#store = store;
    this.#limits = limits;
  }

  /**
   * Carries out a change if there is room for what it gives.
   *
   * @param isExempt asked before a refusal: whether the user gains nothing by it, or the store will refuse it anyway
   * @throws ChatError QUOTA_EXCEEDED, and what the change throws
   */
  run<T>(
    { joining, owner }: Gain,
    change: () => Promise<T>,
    isExempt: (userId: string) => Promise<boolean> = async () => false,
  ): Promise<T> {
    const { maxGroupsPerUser, maxGroupsOwnedPerUser } = this.#limits;
    const joiners = maxGroupsPerUser === 0 ? [] : joining;
    const owners = maxGroupsOwnedPerUser === 0 || owner === undefined ? [] : [owner];
    const userIds = [...new Set([...joiners, ...owners])];
    if (userIds.length === 0) return change();
    return this.#order.run(userIds, async () => {
      const counts = await this.#store.countGroups(userIds);
      for (const id of owners) {
        if ((counts.get(id)?.owned ?? 0) >= maxGroupsOwnedPerUser && !(await isExempt(id)))
          throw exceeded("maxGroupsOwnedPerUser", maxGroupsOwnedPerUser, "owns", id);
      }
      for (const id of joiners) {
        if ((counts.get(id)?.joined ?? 0) >= maxGroupsPerUser && !(await isExempt(id)))
          throw exceeded("maxGroupsPerUser", maxGroupsPerUser, "is in", id);
      }
      return change();
    });
  }
}

function exceeded(limit: keyof GroupQuotaLimits, most: number, verb: string, userId: string): ChatError {
  const description = `${limit}: at most ${most} groups`;
  return new ChatError(
    ErrorReason.QUOTA_EXCEEDED,
    `"${userId}" ${verb} as many groups as a user may; ${description}`,
    {
      quota: { subject: `user:${userId}`, description },
    },
  );
}
