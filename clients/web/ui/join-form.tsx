import { type FormEvent, useState } from "react";
import { useChat } from "./context.ts";
import { Field } from "./field.tsx";
import { useAction } from "./use-action.ts";

/** Joins an open group. */
export function JoinForm({ onDone, focus }: { onDone: () => void; focus: boolean }) {
  const chat = useChat();
  const { busy, problem, run } = useAction();
  const [groupId, setGroupId] = useState("");

  function submit(event: FormEvent) {
    event.preventDefault();
    if (groupId.trim() === "") return;
    void run(async () => {
      chat.open(await chat.groups.join(groupId.trim()));
      onDone();
    });
  }

  return (
    <form className="dialog-form" onSubmit={submit}>
      <Field
        label="Group ID"
        hint="Of a group that is open. A member can tell you."
        value={groupId}
        onChange={setGroupId}
        problem={problem}
        focus={focus}
      />
      <button
        type="submit"
        className="button button-primary button-wide"
        disabled={busy || groupId.trim() === ""}
      >
        Join
      </button>
    </form>
  );
}
