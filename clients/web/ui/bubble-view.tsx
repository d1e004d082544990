import { Avatar } from "./avatar.tsx";
import { useChat } from "./context.ts";
import { Icon } from "./icons.tsx";
import { MessageText } from "./message-text.tsx";
import type { Bubble } from "./rows.ts";
import { hueOf, inline } from "./text.ts";
import { timeOfDay } from "./times.ts";

/** A message: who, what, when, and how far it has got. */
export function BubbleView({
  bubble,
  conversationId,
  inGroup,
  read,
}: {
  bubble: Bubble;
  conversationId: string;
  inGroup: boolean;
  read: boolean;
}) {
  const { senderId, own, text, timeMs, first, last, outgoing } = bubble;
  const failed = outgoing?.state === "failed";
  const classes = [
    "bubble-row",
    own ? "bubble-own" : "bubble-other",
    first && "bubble-first",
    last && "bubble-last",
  ];

  return (
    <div className={classes.filter(Boolean).join(" ")}>
      {inGroup && !own && (
        <span className="bubble-avatar">
          {last && <Avatar name={senderId} colourKey={senderId} size={28} />}
        </span>
      )}
      <article className={failed ? "bubble bubble-failed" : "bubble"}>
        {inGroup && !own && first ? (
          <bdi className="bubble-sender" style={{ "--hue": hueOf(senderId) }}>
            {inline(senderId)}
          </bdi>
        ) : (
          <span className="visually-hidden">{own ? "You" : inline(senderId)}: </span>
        )}
        <MessageText text={text} />
        <span className="bubble-meta">
          <time dateTime={new Date(timeMs).toISOString()}>{timeOfDay(timeMs)}</time>
          {own && <SendState state={outgoing?.state ?? (read ? "read" : "sent")} />}
        </span>
      </article>
      {failed && <FailedActions bubble={bubble} conversationId={conversationId} />}
    </div>
  );
}

const states = {
  sending: { icon: "clock", label: "Sending" },
  sent: { icon: "check", label: "Sent" },
  read: { icon: "checks", label: "Read" },
  failed: { icon: "alert", label: "Not sent" },
} as const;

function SendState({ state }: { state: keyof typeof states }) {
  const { icon, label } = states[state];
  return (
    <span className={`send-state send-state-${state}`} title={label}>
      <Icon name={icon} size={15} />
      <span className="visually-hidden">{label}</span>
    </span>
  );
}

function FailedActions({ bubble: { outgoing }, conversationId }: { bubble: Bubble; conversationId: string }) {
  const { outbox } = useChat();
  if (outgoing === undefined) return null;
  return (
    <div className="bubble-problem">
      <span>{outgoing.problem}</span>
      <button
        type="button"
        className="button button-small"
        onClick={() => outbox.resend(conversationId, outgoing)}
      >
        Send again
      </button>
      <button
        type="button"
        className="button button-small"
        onClick={() => outbox.discard(conversationId, outgoing.clientMessageId)}
      >
        Delete
      </button>
    </div>
  );
}
