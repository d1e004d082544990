import { type Group, JoinPolicy, type Member, Role } from "../../../gen/parlance/chat/v1/group_pb.js";
import { Avatar } from "./avatar.tsx";
import { useChat, useChatState } from "./context.ts";
import { Icon } from "./icons.tsx";
import { InviteForm } from "./invite-form.tsx";
import { LeaveButton } from "./leave-button.tsx";
import { MemberRow } from "./member-row.tsx";
import { inline } from "./text.ts";

const policies: Record<JoinPolicy, string> = {
  [JoinPolicy.UNSPECIFIED]: "Members may add others",
  [JoinPolicy.OPEN]: "Open to anyone who knows the ID",
  [JoinPolicy.APPROVAL]: "Joining has to be approved",
  [JoinPolicy.INVITE]: "Members may add others",
  [JoinPolicy.CLOSED]: "Only admins add members",
};

/** A group's settings and members, and what the user may do with them. */
export function DetailsPanel({ groupId, onClose }: { groupId: string; onClose: () => void }) {
  const chat = useChat();
  const info = useChatState((state) => state.groups.get(groupId));
  if (info === undefined) return null;
  const { group, role, members } = info;
  const mayAdd =
    role <= Role.ADMIN || group.joinPolicy === JoinPolicy.INVITE || group.joinPolicy === JoinPolicy.OPEN;

  return (
    <aside className="details" aria-label="Group details">
      <header className="details-head">
        <h2>Group details</h2>
        <button type="button" className="button button-icon" aria-label="Close details" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div className="details-body">
        <Summary group={group} />
        {mayAdd && <InviteForm groupId={groupId} />}
        <section>
          <h3 className="details-title">
            Members <span className="details-count">{group.memberCount}</span>
          </h3>
          {members === undefined ? (
            <p className="details-quiet">Loading…</p>
          ) : (
            <ul className="members">
              {sorted(members).map((member) => (
                <MemberRow key={member.userId} member={member} myRole={role} />
              ))}
            </ul>
          )}
        </section>
        <LeaveButton owner={role === Role.OWNER} onLeave={() => chat.groups.leave(groupId)} />
      </div>
    </aside>
  );
}

function Summary({ group }: { group: Group }) {
  const name = inline(group.name) || group.groupId;
  return (
    <section className="details-summary">
      <Avatar name={name} colourKey={group.groupId} group size={64} />
      <p className="details-name">
        <bdi>{name}</bdi>
      </p>
      <p className="details-quiet">{policies[group.joinPolicy]}</p>
      <p className="details-quiet">
        ID: <code>{group.groupId}</code>
      </p>
    </section>
  );
}

/** The owner, then admins, members and readers, each by name. */
function sorted(members: readonly Member[]): Member[] {
  return members.toSorted((a, b) => a.role - b.role || a.userId.localeCompare(b.userId));
}
