import { Store } from "../../model/store.ts";
import { browser } from "./kept.ts";

/** How the page looks; `auto` is as the system does. */
export type Theme = "auto" | "light" | "dark";

const key = "parlance.theme";

/** The chosen theme, kept in this browser and put into effect on `<html>`. */
export function createTheme(): Store<Theme> {
  const kept = browser.get(key);
  const theme = new Store<Theme>(kept === "light" || kept === "dark" ? kept : "auto");
  const apply = () => {
    document.documentElement.dataset["theme"] = theme.get();
    browser.set(key, theme.get());
  };
  theme.subscribe(apply);
  apply();
  return theme;
}
