import { type FormEvent, type KeyboardEvent, useEffect, useRef, useState } from "react";
import { Role } from "../../../gen/parlance/chat/v1/group_pb.js";
import type { Conversation } from "../../model/state.ts";
import { useChat, useChatState } from "./context.ts";
import { Icon } from "./icons.tsx";
import { isComposing } from "./keys.ts";
import { titleOf } from "./titles.ts";

/** Where a message is written. What is not sent stays as a draft. */
export function Composer({ conversation }: { conversation: Conversation }) {
  const chat = useChat();
  const { id, target } = conversation;
  const title = useChatState((state) => titleOf(conversation, state.groups));
  const forbidden = useForbidden(conversation);
  const [text, setText] = useState(() => chat.drafts.get(id));
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    field.current?.focus({ preventScroll: true });
    return () => chat.ownTyping.stop();
  }, [chat]);

  function write(next: string) {
    setText(next);
    chat.drafts.set(id, next);
    chat.ownTyping.wrote(target, next);
  }

  function send(event: FormEvent) {
    event.preventDefault();
    if (text.trim() === "") return;
    chat.outbox.send(id, text);
    write("");
    field.current?.focus();
  }

  function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>) {
    if (event.key === "Enter" && !event.shiftKey && !isComposing(event)) send(event);
  }

  if (forbidden !== undefined)
    return (
      <p className="composer composer-forbidden" id="composer">
        {forbidden}
      </p>
    );
  return (
    <form className="composer" onSubmit={send}>
      <textarea
        id="composer"
        ref={field}
        className="composer-text"
        rows={1}
        placeholder="Write a message"
        aria-label={`Message to ${title}`}
        aria-description="Enter sends, Shift and Enter starts a new line"
        dir="auto"
        value={text}
        onChange={(event) => write(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <button type="submit" className="button button-send" aria-label="Send" disabled={text.trim() === ""}>
        <Icon name="send" />
      </button>
    </form>
  );
}

/** Returns why the user may not write here, if so. */
function useForbidden({ target }: Conversation): string | undefined {
  const info = useChatState((state) => ("groupId" in target ? state.groups.get(target.groupId) : undefined));
  if (info?.role === Role.READER) return "You may read this group, but not write in it.";
  if (info?.group.muted && info.role === Role.MEMBER) return "Only admins may write in this group for now.";
  return undefined;
}
