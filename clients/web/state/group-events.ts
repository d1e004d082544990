import {
  type Group,
  type Member,
  MembershipChange,
  type MembershipChanged,
} from "../../../gen/parlance/chat/v1/group_pb.js";
import { newConversation } from "./conversations.ts";
import { millisOf, noteOfMembership, noteOfSettings } from "./entries.ts";
import { type ChatState, changeConversation, changeGroup, type Note } from "./model.ts";
import { addEntry } from "./timeline.ts";

const endings: readonly MembershipChange[] = [MembershipChange.LEFT, MembershipChange.REMOVED];

/** Returns the state after members came, went or changed. */
export function applyMembership(state: ChatState, event: MembershipChanged): ChatState {
  const { groupId, conversationId, change, members } = event;
  const me = members.find(({ userId }) => userId === state.userId);
  if (me !== undefined && endings.includes(change)) return withoutGroup(state, groupId, conversationId);

  let next = changeGroup(state, groupId, (info) => ({
    ...info,
    group: { ...info.group, memberCount: event.memberCount },
    role: me?.role ?? info.role,
    ...(info.members && { members: changedMembers(info.members, members, endings.includes(change)) }),
  }));
  if (me !== undefined && !next.conversations.has(conversationId)) {
    const conversation = {
      ...newConversation(conversationId, { groupId }),
      activityMs: millisOf(event.acceptTime),
    };
    next = { ...next, conversations: new Map(next.conversations).set(conversationId, conversation) };
  }
  return withNote(next, conversationId, noteOfMembership(event));
}

/** Returns the state after a group's settings changed. */
export function applySettings(state: ChatState, group: Group): ChatState {
  if (group.disbandTime !== undefined) return withoutGroup(state, group.groupId, group.conversationId);
  const next = changeGroup(state, group.groupId, (info) => ({ ...info, group }));
  return withNote(next, group.conversationId, noteOfSettings(group));
}

/** Returns the state without a group that the user is not in any more. */
export function withoutGroup(state: ChatState, groupId: string, conversationId: string): ChatState {
  const conversations = new Map(state.conversations);
  const groups = new Map(state.groups);
  conversations.delete(conversationId);
  groups.delete(groupId);
  const openId = state.openId === conversationId ? undefined : state.openId;
  return { ...state, conversations, groups, openId };
}

function changedMembers(
  members: readonly Member[],
  changed: readonly Member[],
  gone: boolean,
): readonly Member[] {
  const byId = new Map(members.map((member) => [member.userId, member]));
  for (const member of changed) {
    if (gone) byId.delete(member.userId);
    else byId.set(member.userId, member);
  }
  return [...byId.values()];
}

function withNote(state: ChatState, conversationId: string, note: Note): ChatState {
  return changeConversation(state, conversationId, (conversation) => ({
    ...conversation,
    lastSeq: Math.max(conversation.lastSeq, note.seq),
    ...(conversation.timeline && { timeline: addEntry(conversation.timeline, note) }),
  }));
}
