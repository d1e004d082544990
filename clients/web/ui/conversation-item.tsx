import { memo } from "react";
import type { Conversation } from "../state/model.ts";
import { Avatar } from "./avatar.tsx";
import { useChat, useChatState } from "./context.ts";
import { inline } from "./text.ts";
import { shortTime } from "./times.ts";
import { colourKeyOf, nameList, titleOf } from "./titles.ts";

/** One conversation of the list. */
export const ConversationItem = memo(function ConversationItem({
  conversation,
}: {
  conversation: Conversation;
}) {
  const chat = useChat();
  const { id, target, unread, activityMs, outgoing } = conversation;
  const open = useChatState((state) => state.openId === id);
  const title = useChatState((state) => titleOf(conversation, state.groups));
  const peerId = "recipientId" in target ? target.recipientId : undefined;
  const online = useChatState((state) => peerId !== undefined && state.presence.get(peerId)?.online === true);
  const timeMs = Math.max(activityMs, outgoing.at(-1)?.timeMs ?? 0);

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
  const { preview, outgoing, typing, target } = conversation;
  const userId = useChatState((state) => state.userId);
  const draft = useChat().drafts.get(conversation.id);
  const open = useChatState((state) => state.openId === conversation.id);
  const last = outgoing.at(-1);
  if (typing.length > 0) {
    const who = "groupId" in target ? `${nameList(typing)} ${typing.length > 1 ? "are " : "is "}` : "";
    return <span className="item-typing">{who}typing…</span>;
  }
  if (last?.state === "failed") return <span className="item-failed">Not sent: {inline(last.text)}</span>;
  if (draft !== "" && !open)
    return (
      <>
        <span className="item-draft">Draft: </span>
        {inline(draft)}
      </>
    );
  if (last !== undefined) return `You: ${inline(last.text)}`;
  if (preview === undefined) return "groupId" in target ? "No messages yet" : "Say hello";
  const own = preview.senderId === userId;
  const who = own ? "You: " : "groupId" in target ? `${inline(preview.senderId)}: ` : "";
  return `${who}${inline(preview.text)}`;
}
