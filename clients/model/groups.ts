import type { MembershipChanged } from "../../gen/parlance/chat/v1/group_pb.js";
import { type Group, type Member, MembershipChange, Role } from "../../gen/parlance/chat/v1/group_pb.js";
import { withLeft, withoutLeft } from "./conversations.ts";
import { noteOfMembership, noteOfSettings } from "./entries.ts";
import { withNote } from "./log.ts";
import { type ChatState, changeConversation, type GroupInfo, without } from "./state.ts";

/** Returns what a membership event means for the user's own membership: that it began or ended, or nothing. */
export function ownMembership(
  { change, members }: MembershipChanged,
  userId: string,
): "began" | "ended" | undefined {
  if (!members.some((member) => member.userId === userId)) return undefined;
  if (change === MembershipChange.JOINED || change === MembershipChange.ADDED) return "began";
  return isEnd(change) ? "ended" : undefined;
}

/** Returns the state after members came, went or changed. */
export function withMembership<S extends ChatState>(state: S, event: MembershipChanged): S {
  const { groupId, conversationId, members, memberCount } = event;
  const me = members.find(({ userId }) => userId === state.userId);
  const own = ownMembership(event, state.userId);
  const next = changeGroup(state, groupId, (info) => ({
    // Who comes back does not know who came and went meanwhile.
    ...(own === "began" ? without(info, "members") : withChanged(info, event)),
    group: { ...info.group, memberCount },
    role: me?.role ?? info.role,
  }));
  const note = noteOfMembership(event);
  if (own === undefined) return withNote(next, conversationId, note);
  if (own === "ended")
    return changeConversation(withNote(next, conversationId, note), conversationId, withLeft);
  return withNote(changeConversation(next, conversationId, withoutLeft), conversationId, note);
}

/** Returns the state after a group was created or disbanded, or its settings changed. */
export function withSettings<S extends ChatState>(state: S, group: Group): S {
  const next = withNote(withGroup(state, group), group.conversationId, noteOfSettings(group));
  return group.disbandTime === undefined ? next : changeConversation(next, group.conversationId, withLeft);
}

/** Takes over what the server says of a group, and of the user's role in it. */
export function withGroup<S extends ChatState>(state: S, group: Group, role?: Role): S {
  const former = state.groups.get(group.groupId);
  const info = { ...former, group, role: role ?? former?.role ?? Role.UNSPECIFIED };
  return { ...state, groups: new Map(state.groups).set(group.groupId, info) };
}

/** Takes over who is in a group. */
export function withMembers<S extends ChatState>(state: S, groupId: string, members: readonly Member[]): S {
  return changeGroup(state, groupId, (info) => ({ ...info, members }));
}

function withChanged(info: GroupInfo, { change, members }: MembershipChanged): GroupInfo {
  if (info.members === undefined) return info;
  const byId = new Map(info.members.map((member) => [member.userId, member]));
  for (const member of members) {
    if (isEnd(change)) byId.delete(member.userId);
    else byId.set(member.userId, member);
  }
  return { ...info, members: [...byId.values()] };
}

function isEnd(change: MembershipChange): boolean {
  return change === MembershipChange.LEFT || change === MembershipChange.REMOVED;
}

function changeGroup<S extends ChatState>(
  state: S,
  groupId: string,
  change: (info: GroupInfo) => GroupInfo,
): S {
  const former = state.groups.get(groupId);
  if (former === undefined) return state;
  return { ...state, groups: new Map(state.groups).set(groupId, change(former)) };
}
