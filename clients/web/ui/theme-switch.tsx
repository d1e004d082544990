import { use, useSyncExternalStore } from "react";
import { Store } from "../../model/store.ts";
import type { Theme } from "../state/theme.ts";
import { ThemeContext } from "./context.ts";
import { Icon, type IconName } from "./icons.tsx";

const next: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
const icons: Record<Theme, IconName> = { auto: "auto", light: "sun", dark: "moon" };
const words: Record<Theme, string> = { auto: "as the system", light: "light", dark: "dark" };
const fallback = new Store<Theme>("auto");

/** Goes round: as the system, light, dark. */
export function ThemeSwitch() {
  const store = use(ThemeContext) ?? fallback;
  const theme = useSyncExternalStore(store.subscribe, store.get);
  const label = `Theme: ${words[theme]}. Change to ${words[next[theme]]}`;
  return (
    <button
      type="button"
      className="button button-icon"
      aria-label={label}
      title={label}
      onClick={() => store.update((now) => next[now])}
    >
      <Icon name={icons[theme]} />
    </button>
  );
}
