import { useState } from "react";
import { Dialog } from "./dialog.tsx";
import { DirectForm } from "./direct-form.tsx";
import { GroupForm } from "./group-form.tsx";
import { Icon, type IconName } from "./icons.tsx";
import { JoinForm } from "./join-form.tsx";

const kinds = [
  { kind: "direct", label: "Person", icon: "person", Form: DirectForm },
  { kind: "group", label: "New group", icon: "people", Form: GroupForm },
  { kind: "join", label: "Join group", icon: "enter", Form: JoinForm },
] as const satisfies { kind: string; label: string; icon: IconName; Form: unknown }[];

/** Starts a conversation with a person, makes a group, or joins one. */
export function NewChatDialog({ onClose }: { onClose: () => void }) {
  const [chosen, setChosen] = useState<(typeof kinds)[number]>(kinds[0]);
  // Who goes through the kinds with the keyboard keeps the focus there.
  const [changed, setChanged] = useState(false);
  const { Form } = chosen;
  return (
    <Dialog title="New chat" onClose={onClose}>
      <fieldset className="choices">
        <legend className="visually-hidden">What to start</legend>
        {kinds.map((choice) => (
          <label key={choice.kind} className="choice">
            <input
              type="radio"
              name="kind"
              checked={choice === chosen}
              onChange={() => {
                setChosen(choice);
                setChanged(true);
              }}
            />
            <Icon name={choice.icon} />
            {choice.label}
          </label>
        ))}
      </fieldset>
      <Form onDone={onClose} focus={!changed} />
    </Dialog>
  );
}
