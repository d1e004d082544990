import type { JoinPolicy, Member, Role } from "../../../gen/parlance/chat/v1/group_pb.js";
import { GroupService } from "../../../gen/parlance/chat/v1/group_service_pb.js";
import { groupConversationId } from "../../../wire/ids.ts";
import { withLeft, withOpen } from "../../model/conversations.ts";
import { withMembers } from "../../model/groups.ts";
import { loadGroup } from "../../model/lists.ts";
import type { ServerCalls } from "../../model/server-calls.ts";
import { changeConversation } from "../../model/state.ts";
import type { ChatStore } from "../../model/store.ts";
import type { Calls } from "../client/calls.ts";

/** A group to create. */
export interface NewGroup {
  name: string;
  /** Empty to have one made. */
  groupId: string;
  joinPolicy: JoinPolicy;
  memberIds: readonly string[];
}

/**
 * What a user can do with groups. Calls reject with a `ParlanceError` when they
 * are refused; what they change comes back as events.
 */
export class Groups {
  readonly #store: ChatStore;
  readonly #calls: Calls;
  readonly #server: ServerCalls;

  constructor(store: ChatStore, calls: Calls, server: ServerCalls) {
    this.#store = store;
    this.#calls = calls;
    this.#server = server;
  }

  /** Creates a group and returns its conversation's id. */
  async create({ memberIds, ...settings }: NewGroup): Promise<string> {
    const { group } = await this.#calls.once(GroupService.method.createGroup, {
      ...settings,
      memberIds: [...memberIds],
      historyForNewMembers: true,
    });
    const groupId = group?.groupId ?? settings.groupId;
    await this.load(groupId);
    return groupConversationId(groupId);
  }

  /** Joins an open group and returns its conversation's id. */
  async join(groupId: string): Promise<string> {
    await this.#calls.once(GroupService.method.joinGroup, { groupId });
    await this.load(groupId);
    return groupConversationId(groupId);
  }

  async leave(groupId: string): Promise<void> {
    await this.#calls.once(GroupService.method.leaveGroup, { groupId });
    this.#store.update((state) =>
      withOpen(changeConversation(state, groupConversationId(groupId), withLeft), undefined),
    );
  }

  async add(groupId: string, userIds: readonly string[]): Promise<void> {
    await this.#calls.once(GroupService.method.addMembers, { groupId, userIds: [...userIds] });
    await this.loadMembers(groupId);
  }

  async remove(groupId: string, userId: string): Promise<void> {
    await this.#calls.once(GroupService.method.removeMembers, { groupId, userIds: [userId] });
    await this.loadMembers(groupId);
  }

  async setRole(groupId: string, userId: string, role: Role): Promise<void> {
    await this.#calls.once(GroupService.method.updateMember, {
      member: { groupId, userId, role },
      updateMask: { paths: ["role"] },
    });
    await this.loadMembers(groupId);
  }

  async transfer(groupId: string, newOwnerId: string): Promise<void> {
    await this.#calls.once(GroupService.method.transferOwnership, { groupId, newOwnerId });
    await Promise.all([this.load(groupId), this.loadMembers(groupId)]);
  }

  /** Fetches a group's settings and the user's role in it, and lists its conversation. */
  load(groupId: string): Promise<void> {
    return loadGroup(this.#server, this.#store, groupId);
  }

  /** Fetches the members of a group. */
  async loadMembers(groupId: string): Promise<void> {
    const members: Member[] = [];
    let pageToken = "";
    do {
      const page = await this.#calls.repeated(GroupService.method.listMembers, {
        groupId,
        pageSize: 1_000,
        pageToken,
      });
      members.push(...page.members);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    this.#store.update((state) => withMembers(state, groupId, members));
  }
}
