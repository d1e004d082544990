import type { Conversation } from "../../model/state.ts";
import { Avatar } from "./avatar.tsx";
import { useChatState } from "./context.ts";
import { Icon } from "./icons.tsx";
import { ago } from "./times.ts";
import { colourKeyOf, titleOf, typingText } from "./titles.ts";

/** Who the conversation is with, and whether they are there. */
export function ChatHeader({
  conversation,
  details,
  onDetails,
  onLeave,
}: {
  conversation: Conversation;
  details: boolean;
  onDetails: (shown: boolean) => void;
  onLeave: () => void;
}) {
  const { target } = conversation;
  const title = useChatState((state) => titleOf(conversation, state.groups));
  const peerId = "recipientId" in target ? target.recipientId : undefined;
  const online = useChatState((state) => peerId !== undefined && state.presence.get(peerId)?.online === true);

  return (
    <header className="chat-head">
      <button
        type="button"
        className="button button-icon chat-back"
        aria-label="Back to the conversations"
        onClick={onLeave}
      >
        <Icon name="back" />
      </button>
      <Avatar
        name={title}
        colourKey={colourKeyOf(conversation)}
        group={peerId === undefined}
        online={online}
      />
      <div className="chat-who">
        <h2>
          <bdi>{title}</bdi>
        </h2>
        <Subtitle conversation={conversation} />
      </div>
      {peerId === undefined && (
        <button
          type="button"
          className="button button-icon"
          aria-label="Group details"
          title="Group details"
          aria-expanded={details}
          onClick={() => onDetails(!details)}
        >
          <Icon name="people" />
        </button>
      )}
    </header>
  );
}

function Subtitle({ conversation: { target, typing } }: { conversation: Conversation }) {
  const group = useChatState((state) => ("groupId" in target ? state.groups.get(target.groupId) : undefined));
  const presence = useChatState((state) =>
    "recipientId" in target ? state.presence.get(target.recipientId) : undefined,
  );
  if (typing.size > 0) return <p className="chat-about chat-about-typing">{typingText(typing, target)}</p>;
  if (group !== undefined) {
    const { memberCount } = group.group;
    return <p className="chat-about">{memberCount === 1 ? "Only you" : `${memberCount} members`}</p>;
  }
  if (presence === undefined) return <p className="chat-about">&nbsp;</p>;
  if (presence.online) return <p className="chat-about">Online</p>;
  const { lastActiveMs } = presence;
  return (
    <p className="chat-about">{lastActiveMs === undefined ? "Offline" : `Last seen ${ago(lastActiveMs)}`}</p>
  );
}
