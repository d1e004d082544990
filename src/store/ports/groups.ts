import type { GroupRecord, MemberRecord, MembershipsPage } from "../../model/records.ts";

/** Reads groups, and who is in them. */
export interface GroupStore {
  /** Returns a group that was not disbanded. */
  getGroup(groupId: string): Promise<GroupRecord | undefined>;
  /** Returns a membership that stands now. */
  getMember(groupId: string, userId: string): Promise<MemberRecord | undefined>;
  /** Returns the memberships of users that stand now, in any order. */
  getMembers(groupId: string, userIds: readonly string[]): Promise<MemberRecord[]>;
  /** Lists members whose user id is above `afterUserId`, by the bytes of the id. */
  listMembers(groupId: string, afterUserId: string, limit: number): Promise<MemberRecord[]>;
  /**
   * Lists a user's groups whose id is above `afterGroupId`, by the bytes of the
   * id: at most `limit`, and no further one once their attributes exceed about
   * `maxBytes`, which is no bound by default.
   */
  listGroups(userId: string, afterGroupId: string, limit: number, maxBytes?: number): Promise<GroupRecord[]>;
  /** Counts the groups that users are in and own; those in none are left out. */
  countGroups(userIds: readonly string[]): Promise<Map<string, { joined: number; owned: number }>>;
  /** Lists all groups a user is in, and tells the position up to which that is true. */
  listMemberships(userId: string): Promise<MembershipsPage>;
}
