import { type FormEvent, useState } from "react";
import { JoinPolicy } from "../../../gen/parlance/chat/v1/group_pb.js";
import { useChat } from "./context.ts";
import { Field } from "./field.tsx";
import { SelectField } from "./select-field.tsx";
import { splitIds } from "./split-ids.ts";
import { useAction } from "./use-action.ts";

const policies = [
  { value: JoinPolicy.INVITE, label: "Members may add others" },
  { value: JoinPolicy.OPEN, label: "Open: anyone who knows the ID may join" },
  { value: JoinPolicy.CLOSED, label: "Closed: only admins add members" },
];

/** Makes a group. */
export function GroupForm({ onDone, focus }: { onDone: () => void; focus: boolean }) {
  const chat = useChat();
  const { busy, problem, run } = useAction();
  const [name, setName] = useState("");
  const [groupId, setGroupId] = useState("");
  const [joinPolicy, setJoinPolicy] = useState<JoinPolicy>(JoinPolicy.INVITE);
  const [members, setMembers] = useState("");

  function submit(event: FormEvent) {
    event.preventDefault();
    if (name.trim() === "") return;
    void run(async () => {
      const memberIds = splitIds(members);
      const settings = { name: name.trim(), groupId: groupId.trim(), joinPolicy, memberIds };
      chat.open(await chat.groups.create(settings));
      onDone();
    });
  }

  return (
    <form className="dialog-form" onSubmit={submit}>
      <Field label="Name" value={name} onChange={setName} placeholder="Weekend plans" focus={focus} />
      <Field
        label="Members"
        hint="User IDs, with commas between them."
        value={members}
        onChange={setMembers}
        placeholder="bob, carol"
      />
      <SelectField label="Who may join" options={policies} value={joinPolicy} onChange={setJoinPolicy} />
      <Field
        label="Group ID"
        hint="Leave it empty to have one made."
        value={groupId}
        onChange={setGroupId}
        problem={problem}
      />
      <button
        type="submit"
        className="button button-primary button-wide"
        disabled={busy || name.trim() === ""}
      >
        Create group
      </button>
    </form>
  );
}
