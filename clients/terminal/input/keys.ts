import type { Key } from "ink";

/** What a key asks for; a text is to be typed. */
export type KeyAction =
  | { insert: string }
  | "submit"
  | "newLine"
  | "left"
  | "right"
  | "wordLeft"
  | "wordRight"
  | "home"
  | "end"
  | "backspace"
  | "delete"
  | "deleteWordLeft"
  | "deleteWordRight"
  | "deleteToStart"
  | "deleteToEnd"
  | "up"
  | "down"
  | "pageUp"
  | "pageDown"
  | "toEnd"
  | "nextConversation"
  | "previousConversation"
  | "tab"
  | "nextUnread"
  | "redraw"
  | "quit"
  | { conversation: number };

/** Control and a letter, as in shells where they have a meaning there. */
const controls: Readonly<Record<string, KeyAction>> = {
  a: "home",
  b: "left",
  c: "quit",
  d: "delete",
  e: "end",
  f: "right",
  h: "backspace",
  i: "tab",
  j: "newLine",
  k: "deleteToEnd",
  l: "redraw",
  m: "submit",
  n: "nextConversation",
  p: "previousConversation",
  u: "deleteToStart",
  w: "deleteWordLeft",
};

/** Alt and a letter. */
const metas: Readonly<Record<string, KeyAction>> = {
  a: "nextUnread",
  b: "wordLeft",
  d: "deleteWordRight",
  f: "wordRight",
};

/** Tells what a key asks for. Keys that came together, as over a slow line, ask for several things. */
export function actionsOf(input: string, key: Key): KeyAction[] {
  const named = namedAction(key);
  if (named !== undefined) return [named];
  if (key.escape) return [];
  if (key.meta) {
    if (/^[1-9]$/.test(input)) return [{ conversation: Number(input) }];
    const action = metas[input.toLowerCase()];
    return action === undefined ? [] : [action];
  }
  if (key.ctrl) {
    const action = controls[input];
    return action === undefined ? [] : [action];
  }
  return split(input);
}

function namedAction(key: Key): KeyAction | undefined {
  const word = key.ctrl || key.meta;
  if (key.return) return key.meta || key.shift ? "newLine" : "submit";
  if (key.tab) return key.shift ? "previousConversation" : "tab";
  if (key.leftArrow) return word ? "wordLeft" : "left";
  if (key.rightArrow) return word ? "wordRight" : "right";
  if (key.upArrow) return word ? "previousConversation" : "up";
  if (key.downArrow) return word ? "nextConversation" : "down";
  if (key.pageUp) return "pageUp";
  if (key.pageDown) return "pageDown";
  if (key.home) return "home";
  if (key.end) return word ? "toEnd" : "end";
  if (key.backspace) return word ? "deleteWordLeft" : "backspace";
  if (key.delete) return word ? "deleteWordRight" : "delete";
  return undefined;
}

/** Takes apart what was typed in one go: texts, and the control characters between them. */
function split(input: string): KeyAction[] {
  const actions: KeyAction[] = [];
  for (const part of input.match(/\p{Cc}|\P{Cc}+/gu) ?? []) {
    const code = part.charCodeAt(0);
    if (code >= 0x20 && code !== 0x7f) actions.push({ insert: part });
    else {
      const action = code === 0x7f ? "backspace" : controls[String.fromCharCode(code + 0x60)];
      if (action !== undefined) actions.push(action);
    }
  }
  return actions;
}
