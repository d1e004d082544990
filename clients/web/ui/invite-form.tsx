import { type FormEvent, useState } from "react";
import { useChat } from "./context.ts";
import { Field } from "./field.tsx";
import { splitIds } from "./split-ids.ts";
import { useAction } from "./use-action.ts";

/** Adds people to a group. */
export function InviteForm({ groupId }: { groupId: string }) {
  const chat = useChat();
  const { busy, problem, run } = useAction();
  const [users, setUsers] = useState("");

  function submit(event: FormEvent) {
    event.preventDefault();
    const userIds = splitIds(users);
    if (userIds.length === 0) return;
    void run(async () => {
      await chat.groups.add(groupId, userIds);
      setUsers("");
    });
  }

  return (
    <form className="invite" onSubmit={submit}>
      <Field
        label="Add people"
        placeholder="dave, erin"
        value={users}
        onChange={setUsers}
        problem={problem}
      />
      <button type="submit" className="button" disabled={busy || users.trim() === ""}>
        Add
      </button>
    </form>
  );
}
