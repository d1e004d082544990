import type { GroupChange, GroupRecord, GroupSettings, Role } from "../../model/records.ts";

/** Changes groups. Every method that does returns the events it appended. */
export interface GroupStore {
  /**
   * Creates a group with two events: its settings, then its members. The id of
   * a group that was disbanded stays taken.
   *
   * @throws ChatError GROUP_ID_TAKEN, GROUP_FULL
   */
  createGroup(
    groupId: string,
    ownerId: string,
    settings: GroupSettings,
    memberIds: readonly string[],
  ): Promise<GroupChange>;
  /** Returns a group that was not disbanded. */
  getGroup(groupId: string): Promise<GroupRecord | undefined>;
  /**
   * Changes settings.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_LIMIT_TOO_LOW
   */
  updateGroup(groupId: string, actorId: string, settings: Partial<GroupSettings>): Promise<GroupChange>;
  /**
   * Ends a group: its last event goes to all members, who are members no more.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW
   */
  disbandGroup(groupId: string, actorId: string): Promise<GroupChange>;
  /**
   * Makes a user a member by their own wish; a reader or muted, if they were so
   * when they last left.
   *
   * @throws ChatError GROUP_NOT_FOUND, ALREADY_A_MEMBER, GROUP_FULL
   */
  joinGroup(groupId: string, userId: string): Promise<GroupChange>;
  /**
   * Ends a membership by the member's own wish.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, OWNER_CANNOT_LEAVE
   */
  leaveGroup(groupId: string, userId: string): Promise<GroupChange>;
  /**
   * Makes users members; those who are already stay as they are. Who was muted
   * when they last left is muted again, and a reader a reader unless named ADMIN.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, JOIN_NOT_ALLOWED, ROLE_TOO_LOW, MEMBER_MUTED, GROUP_MUTED,
   *   GROUP_FULL
   */
  addMembers(groupId: string, actorId: string, userIds: readonly string[], role: Role): Promise<GroupChange>;
  /**
   * Ends memberships, all or none.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_NOT_FOUND
   */
  removeMembers(groupId: string, actorId: string, userIds: readonly string[]): Promise<GroupChange>;
  /**
   * Changes a member's role or mute.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_NOT_FOUND
   */
  updateMember(
    groupId: string,
    actorId: string,
    userId: string,
    change: { role?: Role; mutedUntilMs?: number },
  ): Promise<GroupChange>;
  /**
   * Makes another member the owner; the former owner becomes an admin.
   *
   * @throws ChatError GROUP_NOT_FOUND, NOT_A_MEMBER, ROLE_TOO_LOW, MEMBER_NOT_FOUND
   */
  transferOwnership(groupId: string, actorId: string, newOwnerId: string): Promise<GroupChange>;
}
