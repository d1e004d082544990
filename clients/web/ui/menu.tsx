import { type KeyboardEvent, useEffect, useRef } from "react";
import { Icon } from "./icons.tsx";

/** One thing that can be done. */
export interface MenuAction {
  label: string;
  /** Whether it takes something away. */
  danger?: boolean;
  run: () => void;
}

/** A button that opens a list of actions. Esc, a click elsewhere and a choice close it. */
export function Menu({ label, actions }: { label: string; actions: readonly MenuAction[] }) {
  const menu = useRef<HTMLDetailsElement>(null);
  const close = () => menu.current?.removeAttribute("open");

  useEffect(() => {
    const onPointerDown = ({ target }: PointerEvent) => {
      if (!menu.current?.contains(target as Node)) menu.current?.removeAttribute("open");
    };
    document.addEventListener("pointerdown", onPointerDown);
    return () => document.removeEventListener("pointerdown", onPointerDown);
  }, []);

  function onKeyDown(event: KeyboardEvent) {
    if (event.key !== "Escape" || !menu.current?.open) return;
    event.stopPropagation();
    close();
    menu.current.querySelector("summary")?.focus();
  }

  return (
    <details className="menu" ref={menu} onKeyDown={onKeyDown}>
      <summary className="button button-icon" aria-label={label}>
        <Icon name="more" />
      </summary>
      <div className="menu-items">
        {actions.map(({ label: name, danger, run }) => (
          <button
            key={name}
            type="button"
            className={danger ? "menu-item menu-item-danger" : "menu-item"}
            onClick={() => {
              close();
              run();
            }}
          >
            {name}
          </button>
        ))}
      </div>
    </details>
  );
}
