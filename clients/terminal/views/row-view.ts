import { Text } from "ink";
import { createElement as h, memo } from "react";
import type { Row } from "../screen/row.ts";
import type { Theme } from "./theme.ts";

/** Draws a row. One that is the same object as before is not drawn again. */
export const RowView = memo(function RowView({ row, theme }: { row: Row; theme: Theme }) {
  const pieces = row
    .filter(({ text }) => text !== "")
    .map(({ text, look }, i) => h(Text, { key: i, ...theme[look] }, text));
  return h(Text, { wrap: "truncate" }, ...(pieces.length === 0 ? [" "] : pieces));
});
