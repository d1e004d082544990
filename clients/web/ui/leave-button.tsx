import { useState } from "react";
import { Dialog } from "./dialog.tsx";
import { Icon } from "./icons.tsx";
import { useAction } from "./use-action.ts";

/** Leaves a group, after asking. */
export function LeaveButton({ owner, onLeave }: { owner: boolean; onLeave: () => Promise<void> }) {
  const [asking, setAsking] = useState(false);
  const { busy, problem, run } = useAction();
  return (
    <>
      <button type="button" className="button button-danger" onClick={() => setAsking(true)}>
        <Icon name="leave" size={18} /> Leave group
      </button>
      {asking && (
        <Dialog title="Leave this group?" onClose={() => setAsking(false)}>
          <p>
            {owner
              ? "You own it: make another member the owner first, or the server will refuse."
              : "You get no more messages of it. Somebody has to add you if you want to come back."}
          </p>
          {problem !== "" && (
            <p className="field-problem" role="alert">
              {problem}
            </p>
          )}
          <div className="dialog-actions">
            <button type="button" className="button" onClick={() => setAsking(false)}>
              Stay
            </button>
            <button
              type="button"
              className="button button-danger-full"
              disabled={busy}
              onClick={() => void run(onLeave)}
            >
              Leave
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
