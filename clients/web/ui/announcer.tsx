import { useEffect, useRef, useState } from "react";
import { useChatState, useOpenConversation } from "./context.ts";
import { inline } from "./text.ts";

/** Reads new messages of the open conversation out to who uses a screen reader. */
export function Announcer() {
  const conversation = useOpenConversation();
  const userId = useChatState((state) => state.userId);
  const [text, setText] = useState("");
  const seen = useRef<{ id: string | undefined; seq: number }>({ id: undefined, seq: 0 });
  const last = conversation?.timeline?.entries.at(-1);

  useEffect(() => {
    const { id, seq } = seen.current;
    seen.current = { id: conversation?.id, seq: last?.seq ?? 0 };
    if (id !== conversation?.id || seq === 0 || last === undefined || last.seq <= seq) return;
    if (last.kind === "message" && last.senderId !== userId)
      setText(`${inline(last.senderId)}: ${inline(last.text)}`);
  }, [conversation?.id, last, userId]);

  return (
    <div className="visually-hidden" aria-live="polite">
      {text}
    </div>
  );
}
