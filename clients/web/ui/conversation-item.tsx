import { memo } from "react";
import { activityOf } from "../../model/conversations.ts";
import type { Conversation } from "../../model/state.ts";
import { Avatar } from "./avatar.tsx";
import { useChat, useChatState } from "./context.ts";
import { inline } from "./text.ts";
import { shortTime } from "./times.ts";
import { colourKeyOf, titleOf, typingText } from "./titles.ts";

/** One conversation of the list. */
export const ConversationItem = memo(function ConversationItem({
  conversation,
}: {
  conversation: Conversation;
}) {
  const chat = useChat();
  const { id, target, unread } = conversation;
  const open = useChatState((state) => state.openId === id);
  const title = useChatState((state) => titleOf(conversation, state.groups));
  const peerId = "recipientId" in target ? target.recipientId : undefined;
  const online = useChatState((state) => peerId !== undefined && state.presence.get(peerId)?.online === true);
  const timeMs = activityOf(conversation);

  return (
    <li>
      <button
        type="button"
        className="item"
        data-conversation={id}
        aria-current={open ? "true" : undefined}
        onClick={() => chat.open(id)}
      >
        <Avatar
          name={title}
          colourKey={colourKeyOf(conversation)}
          group={peerId === undefined}
          online={online}
        />
        <span className="item-title">
          <bdi>{title}</bdi>
          {online && <span className="visually-hidden">, online</span>}
        </span>
        {timeMs > 0 && <time className="item-time">{shortTime(timeMs)}</time>}
        <span className={unread > 0 ? "item-preview item-preview-unread" : "item-preview"}>
          <PreviewText conversation={conversation} />
        </span>
        {unread > 0 && (
          <span className="badge">
            <span aria-hidden="true">{unread > 9_999 ? "9,999+" : unread > 99 ? "99+" : unread}</span>
            <span className="visually-hidden">{unread} unread</span>
          </span>
        )}
      </button>
    </li>
  );
});

function PreviewText({ conversation }: { conversation: Conversation }) {
  const { lastMessage, outgoing, typing, target } = conversation;
  const userId = useChatState((state) => state.userId);
  const draft = useChat().drafts.get(conversation.id);
  const open = useChatState((state) => state.openId === conversation.id);
  const last = outgoing.at(-1);
  if (typing.size > 0) return <span className="item-typing">{typingText(typing, target)}</span>;
  if (last?.state === "failed") return <span className="item-failed">Not sent: {inline(last.text)}</span>;
  if (draft !== "" && !open)
    return (
      <>
        <span className="item-draft">Draft: </span>
        {inline(draft)}
      </>
    );
  if (last !== undefined) return `You: ${inline(last.text)}`;
  if (lastMessage === undefined) return "groupId" in target ? "No messages yet" : "Say hello";
  const own = lastMessage.senderId === userId;
  const who = own ? "You: " : "groupId" in target ? `${inline(lastMessage.senderId)}: ` : "";
  return `${who}${inline(lastMessage.text)}`;
}
