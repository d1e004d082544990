import { type FormEvent, useState } from "react";
import { useChat, useChatState } from "./context.ts";
import { Field } from "./field.tsx";

/** Opens the conversation with a person. */
export function DirectForm({ onDone, focus }: { onDone: () => void; focus: boolean }) {
  const chat = useChat();
  const me = useChatState((state) => state.userId);
  const [userId, setUserId] = useState("");
  const [problem, setProblem] = useState("");

  function submit(event: FormEvent) {
    event.preventDefault();
    const peerId = userId.trim();
    if (peerId === "") return;
    if (peerId === me) {
      setProblem("That is you. Choose somebody else.");
      return;
    }
    chat.openDirect(peerId);
    onDone();
  }

  return (
    <form className="dialog-form" onSubmit={submit}>
      <Field
        label="Who"
        hint="Their user ID, such as bob."
        value={userId}
        onChange={setUserId}
        problem={problem}
        focus={focus}
      />
      <button type="submit" className="button button-primary button-wide" disabled={userId.trim() === ""}>
        Start chatting
      </button>
    </form>
  );
}
