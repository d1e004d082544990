import { Box, useCursor, useInput, usePaste } from "ink";
import { createElement as h, type ReactElement, useSyncExternalStore } from "react";
import { actionsOf, type KeyAction } from "../input/keys.ts";
import { piece, type Row } from "../screen/row.ts";
import { prompt, type Screen } from "../screen/screen.ts";
import { RowView } from "./row-view.ts";
import type { Theme } from "./theme.ts";

/** What the view needs. */
export interface ChatViewProps {
  /** Returns the screen as it is to be drawn now; the same object while nothing has changed. */
  screen: () => Screen;
  subscribe: (listener: () => void) => () => void;
  onKey: (action: KeyAction) => void;
  theme: Theme;
}

/** Draws the chat and hands on what is typed. */
export function ChatView({ screen, subscribe, onKey, theme }: ChatViewProps): ReactElement {
  const { layout, title, list, body, typing, status, input } = useSyncExternalStore(subscribe, screen);
  useInput((text, key) => {
    for (const action of actionsOf(text, key)) onKey(action);
  });
  usePaste((text) => onKey({ insert: text }));
  const { setCursorPosition } = useCursor();
  const { columns, rows, listWidth, bodyWidth, bodyHeight, inputHeight } = layout;
  setCursorPosition({ x: prompt.length + input.cursor.x, y: rows - inputHeight + input.cursor.y });

  const column = (width: number, content: readonly Row[], paddingLeft = 0) =>
    h(
      Box,
      { flexDirection: "column", width, height: bodyHeight, paddingLeft, flexShrink: 0, overflow: "hidden" },
      ...content.map((row, i) => h(RowView, { key: i, row, theme })),
    );
  return h(
    Box,
    { flexDirection: "column", width: columns, height: rows, overflow: "hidden" },
    h(RowView, { row: title, theme }),
    h(
      Box,
      { height: bodyHeight, flexShrink: 0 },
      listWidth > 0 ? column(listWidth, list) : null,
      column(bodyWidth, body, listWidth > 0 ? 1 : 0),
    ),
    h(RowView, { row: typing, theme }),
    h(RowView, { row: status, theme }),
    ...input.rows.map((text, i) =>
      h(RowView, { key: i, row: [piece(i === 0 ? prompt : "  ", "strong"), piece(text)], theme }),
    ),
  );
}
