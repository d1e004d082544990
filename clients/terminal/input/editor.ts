/** The line being typed, as plain functions from one state to the next. */

import { graphemesOf } from "../text/width.ts";

/** What was typed so far. */
export interface Editor {
  readonly text: string;
  /** Where the next character goes: an index into `text`, never within a character. */
  readonly cursor: number;
}

/** Nothing typed. */
export const emptyEditor: Editor = { text: "", cursor: 0 };

/** Returns an editor with a text and the cursor behind it. */
export function editorOf(text: string): Editor {
  return { text, cursor: text.length };
}

/** Types a text. Line breaks may be in it. */
export function insert({ text, cursor }: Editor, typed: string): Editor {
  const clean = typed.toWellFormed().replace(/\r\n?/g, "\n");
  return { text: text.slice(0, cursor) + clean + text.slice(cursor), cursor: cursor + clean.length };
}

/** Moves by a character to the left. */
export function left({ text, cursor }: Editor): Editor {
  return { text, cursor: cursor - (graphemesOf(text.slice(0, cursor)).at(-1)?.length ?? 0) };
}

/** Moves by a character to the right. */
export function right({ text, cursor }: Editor): Editor {
  return { text, cursor: cursor + (graphemesOf(text.slice(cursor))[0]?.length ?? 0) };
}

/** Moves to the start of the word before the cursor. */
export function wordLeft({ text, cursor }: Editor): Editor {
  return { text, cursor: text.slice(0, cursor).search(/\S+\s*$/) >= 0 ? wordStart(text, cursor) : 0 };
}

/** Moves behind the word after the cursor. */
export function wordRight({ text, cursor }: Editor): Editor {
  return { text, cursor: cursor + (/^\s*\S*/.exec(text.slice(cursor))?.[0].length ?? 0) };
}

/** Moves to the start of the line. */
export function home({ text, cursor }: Editor): Editor {
  return { text, cursor: cursor === 0 ? 0 : text.lastIndexOf("\n", cursor - 1) + 1 };
}

/** Moves to the end of the line. */
export function end({ text, cursor }: Editor): Editor {
  const lineEnd = text.indexOf("\n", cursor);
  return { text, cursor: lineEnd < 0 ? text.length : lineEnd };
}

/** Deletes the character before the cursor. */
export function backspace(editor: Editor): Editor {
  return deleteTo(editor, left(editor));
}

/** Deletes the character at the cursor. */
export function deleteRight(editor: Editor): Editor {
  return deleteTo(editor, right(editor));
}

/** Deletes the word before the cursor. */
export function deleteWordLeft(editor: Editor): Editor {
  return deleteTo(editor, wordLeft(editor));
}

/** Deletes the word after the cursor. */
export function deleteWordRight(editor: Editor): Editor {
  return deleteTo(editor, wordRight(editor));
}

/** Deletes from the start of the line to the cursor. */
export function deleteToStart(editor: Editor): Editor {
  return deleteTo(editor, home(editor));
}

/** Deletes from the cursor to the end of the line. */
export function deleteToEnd(editor: Editor): Editor {
  return deleteTo(editor, end(editor));
}

/** Deletes what lies between the cursor and another place. */
function deleteTo({ text, cursor }: Editor, { cursor: other }: Editor): Editor {
  const from = Math.min(cursor, other);
  return { text: text.slice(0, from) + text.slice(Math.max(cursor, other)), cursor: from };
}

function wordStart(text: string, cursor: number): number {
  return cursor - (/\S+\s*$/.exec(text.slice(0, cursor))?.[0].length ?? 0);
}
