import type { TextProps } from "ink";
import type { Look } from "../screen/row.ts";

/** How each look is drawn. */
export type Theme = Readonly<Record<Look, Omit<TextProps, "children">>>;

/** The looks in the terminal's own sixteen colours, which fit light and dark backgrounds. */
const colourful: Theme = {
  plain: {},
  strong: { bold: true },
  faint: { dimColor: true },
  good: { color: "green" },
  warning: { color: "yellow" },
  bad: { color: "red" },
  mark: { color: "cyan", bold: true },
  bar: { inverse: true },
  chosen: { inverse: true },
  sender0: { color: "cyan" },
  sender1: { color: "magenta" },
  sender2: { color: "green" },
  sender3: { color: "blueBright" },
  sender4: { color: "yellow" },
  sender5: { color: "redBright" },
};

/** The looks without colours: what matters is bold, and marks say the rest. */
const colourless: Theme = {
  ...colourful,
  good: {},
  warning: { bold: true },
  bad: { bold: true },
  mark: { bold: true },
  sender0: { bold: true },
  sender1: { bold: true },
  sender2: { bold: true },
  sender3: { bold: true },
  sender4: { bold: true },
  sender5: { bold: true },
};

/** Returns the looks for a terminal with or without colours. */
export function themeFor(colours: boolean): Theme {
  return colours ? colourful : colourless;
}
