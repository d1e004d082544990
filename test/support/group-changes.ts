import type { GroupSettings, Role } from "../../src/model/records.ts";
import type { ChangeName, ChangeRequest } from "../../src/rules/changes.ts";
import type { GroupAnswer } from "../../src/rules/group-draft.ts";
import type { MemberChange } from "../../src/rules/group-members.ts";
import type { ChangeStore } from "../../src/store/ports/changes.ts";

/** The changes of groups that a store carries out, each as one call. */
export function groupChanges(store: ChangeStore) {
  const run = async <N extends ChangeName>(name: N, request: ChangeRequest<N>) => {
    const { answer, events } = await store.change(name, request);
    return { ...(answer as GroupAnswer), events };
  };
  return {
    createGroup: (groupId: string, ownerId: string, settings: GroupSettings, memberIds: readonly string[]) =>
      run("createGroup", { groupId, ownerId, settings, memberIds }),
    updateGroup: (groupId: string, actorId: string, settings: Partial<GroupSettings>) =>
      run("updateGroup", { groupId, actorId, settings }),
    disbandGroup: (groupId: string, actorId: string) => run("disbandGroup", { groupId, actorId }),
    joinGroup: (groupId: string, userId: string) => run("joinGroup", { groupId, userId }),
    leaveGroup: (groupId: string, userId: string) => run("leaveGroup", { groupId, userId }),
    addMembers: (groupId: string, actorId: string, userIds: readonly string[], role: Role) =>
      run("addMembers", { groupId, actorId, userIds, role }),
    removeMembers: (groupId: string, actorId: string, userIds: readonly string[]) =>
      run("removeMembers", { groupId, actorId, userIds }),
    updateMember: (groupId: string, actorId: string, userId: string, change: MemberChange) =>
      run("updateMember", { groupId, actorId, userId, change }),
    transferOwnership: (groupId: string, actorId: string, newOwnerId: string) =>
      run("transferOwnership", { groupId, actorId, newOwnerId }),
  };
}
