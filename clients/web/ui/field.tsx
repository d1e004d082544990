import { type KeyboardEvent, useEffect, useId, useRef } from "react";
import { isComposing } from "./keys.ts";

/** A text field with its label, a hint, and what is wrong with it. */
export function Field({
  label,
  value,
  onChange,
  placeholder,
  hint,
  problem,
  multiline = false,
  focus = false,
}: {
  label: string;
  value: string;
  onChange: (value: string) => void;
  placeholder?: string;
  hint?: string;
  problem?: string | undefined;
  multiline?: boolean;
  /** Whether the field gets the focus when it appears. */
  focus?: boolean;
}) {
  const id = useId();
  const field = useRef<HTMLInputElement & HTMLTextAreaElement>(null);
  useEffect(() => {
    if (focus) field.current?.focus();
  }, [focus]);
  const about = problem ? `${id}-problem` : hint ? `${id}-hint` : undefined;
  const shared = {
    id,
    ref: field,
    className: "field-input",
    value,
    placeholder,
    spellCheck: false,
    autoCapitalize: "none",
    autoComplete: "off",
    "aria-describedby": about,
    "aria-invalid": problem ? true : undefined,
    onKeyDown: leaveToInputMethod,
    onChange: ({ target }: { target: { value: string } }) => onChange(target.value),
  };
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {multiline ? <textarea {...shared} rows={4} /> : <input {...shared} type="text" />}
      {problem ? (
        <p className="field-problem" id={`${id}-problem`} role="alert">
          {problem}
        </p>
      ) : (
        hint && (
          <p className="field-hint" id={`${id}-hint`}>
            {hint}
          </p>
        )
      )}
    </div>
  );
}

/** The Enter that takes a suggestion submits no form, and the Escape that drops it closes no dialog. */
function leaveToInputMethod(event: KeyboardEvent): void {
  if (isComposing(event)) event.preventDefault();
}
