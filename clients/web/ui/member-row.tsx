import { type Member, Role } from "../../../gen/parlance/chat/v1/group_pb.js";
import { inWords } from "../state/words.ts";
import { Avatar } from "./avatar.tsx";
import { useChat, useChatState } from "./context.ts";
import { Menu, type MenuAction } from "./menu.tsx";
import { inline } from "./text.ts";

const roleNames: Record<Role, string> = {
  [Role.UNSPECIFIED]: "",
  [Role.OWNER]: "Owner",
  [Role.ADMIN]: "Admin",
  [Role.MEMBER]: "",
  [Role.READER]: "Reads only",
};

/** A member of a group, with what the user may do to them. */
export function MemberRow({ member, myRole }: { member: Member; myRole: Role }) {
  const { userId, role } = member;
  const me = useChatState((state) => state.userId);
  const online = useChatState((state) => state.presence.get(userId)?.online === true);
  const mine = userId === me;
  const name = inline(userId);

  return (
    <li className="member">
      <Avatar name={userId} colourKey={userId} size={32} online={online} />
      <span className="member-name">
        <bdi>{name}</bdi>
        {mine && <span className="details-quiet"> (you)</span>}
        {online && <span className="visually-hidden">, online</span>}
      </span>
      {roleNames[role] !== "" && <span className="tag">{roleNames[role]}</span>}
      {!mine && myRole !== Role.UNSPECIFIED && myRole <= Role.ADMIN && role > myRole && (
        <MemberActions member={member} myRole={myRole} name={name} />
      )}
    </li>
  );
}

function MemberActions({ member, myRole, name }: { member: Member; myRole: Role; name: string }) {
  const chat = useChat();
  const { groupId, userId, role } = member;
  const { groups } = chat;

  function action(label: string, work: () => Promise<void>, danger = false): MenuAction {
    return { label, danger, run: () => void work().catch((error: unknown) => chat.notify(inWords(error))) };
  }

  const actions: MenuAction[] = [];
  if (role > Role.ADMIN)
    actions.push(action("Make admin", () => groups.setRole(groupId, userId, Role.ADMIN)));
  if (role !== Role.MEMBER)
    actions.push(action("Make member", () => groups.setRole(groupId, userId, Role.MEMBER)));
  if (myRole === Role.OWNER) actions.push(action("Make owner", () => groups.transfer(groupId, userId)));
  actions.push(action("Remove", () => groups.remove(groupId, userId), true));
  return <Menu label={`What to do with ${name}`} actions={actions} />;
}
