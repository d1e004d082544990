import { listed } from "../../model/conversations.ts";
import { type Conversation, openOf, without } from "../../model/state.ts";
import { complete, isCommandLine } from "../input/commands.ts";
import type { Editor } from "../input/editor.ts";
import * as edit from "../input/editor.ts";
import { InputHistory } from "../input/history.ts";
import type { KeyAction } from "../input/keys.ts";
import { viewOf } from "../screen/screen.ts";
import { scroll } from "../screen/viewport.ts";
import { nameOf, withAnchor } from "../state/shown.ts";
import type { TerminalState } from "../state/terminal-state.ts";
import { submit } from "./actions.ts";
import type { ChatSession } from "./session.ts";

/** Keys that change the line being typed and nothing else. */
const edits: Partial<Record<string, (editor: Editor) => Editor>> = {
  newLine: (editor) => edit.insert(editor, "\n"),
  left: edit.left,
  right: edit.right,
  wordLeft: edit.wordLeft,
  wordRight: edit.wordRight,
  home: edit.home,
  end: edit.end,
  backspace: edit.backspace,
  delete: edit.deleteRight,
  deleteWordLeft: edit.deleteWordLeft,
  deleteWordRight: edit.deleteWordRight,
  deleteToStart: edit.deleteToStart,
  deleteToEnd: edit.deleteToEnd,
};

/** Does what keys ask for. */
export class Keyboard {
  readonly #session: ChatSession;
  readonly #history = new InputHistory();
  readonly #redraw: () => void;

  /** @param redraw draws the whole screen anew */
  constructor(session: ChatSession, redraw: () => void) {
    this.#session = session;
    this.#redraw = redraw;
  }

  /** Takes a key. */
  press(action: KeyAction): void {
    const { store, ownTyping } = this.#session;
    store.update((state) => without(state, "hint"));
    this.#act(action);
    const { text } = store.get().editor;
    ownTyping.wrote(isCommandLine(text) ? undefined : openOf(store.get())?.target, text);
  }

  #act(action: KeyAction): void {
    if (typeof action === "object") {
      if ("insert" in action) this.#edit((editor) => edit.insert(editor, action.insert));
      else this.#open(listed(this.#state)[action.conversation - 1]);
      return;
    }
    const change = edits[action];
    if (change !== undefined) {
      this.#edit(change);
      return;
    }
    switch (action) {
      case "submit":
        this.#submit();
        return;
      case "up":
        this.#edit((editor) => upOrOlder(editor, this.#history));
        return;
      case "down":
        this.#edit((editor) => downOrNewer(editor, this.#history));
        return;
      case "pageUp":
        this.#scroll(-1);
        return;
      case "pageDown":
        this.#scroll(1);
        return;
      case "toEnd":
        this.#scroll(Number.POSITIVE_INFINITY);
        return;
      case "nextConversation":
        this.#open(beside(this.#state, 1));
        return;
      case "previousConversation":
        this.#open(beside(this.#state, -1));
        return;
      case "nextUnread":
        this.#open(nextUnread(this.#state));
        return;
      case "tab":
        this.#tab();
        return;
      case "redraw":
        this.#redraw();
        return;
      case "quit":
        this.#session.quit();
    }
  }

  get #state(): TerminalState {
    return this.#session.store.get();
  }

  #edit(change: (editor: Editor) => Editor): void {
    this.#session.store.update((state) => ({ ...state, editor: change(state.editor) }));
  }

  #submit(): void {
    const { store } = this.#session;
    const { text } = store.get().editor;
    this.#history.add(text);
    // Who writes wants to see it.
    store.update((state) => ({ ...withAnchor(state, undefined), editor: edit.emptyEditor }));
    void submit(this.#session, text);
  }

  /** Completes a command or a name; anywhere else goes on to what is unread, or to the next conversation. */
  #tab(): void {
    const { editor } = this.#state;
    if (editor.text.startsWith("/") && editor.cursor === editor.text.length) {
      const names = [...this.#state.conversations.values()].map((each) => nameOf(this.#state, each));
      const completed = complete(editor.text, names);
      if (completed !== undefined) this.#edit(() => edit.editorOf(completed));
      return;
    }
    this.#open(nextUnread(this.#state) ?? beside(this.#state, 1));
  }

  #open(conversation: Conversation | undefined): void {
    if (conversation !== undefined) this.#session.open(conversation.target);
  }

  /** Scrolls by whole pages, less one row to find one's place again. */
  #scroll(pages: number): void {
    const { store } = this.#session;
    store.update((state) => {
      const view = viewOf(state);
      return withAnchor(state, scroll(view, pages * Math.max(1, view.height - 1)));
    });
    if (pages < 0 && openOf(this.#state)?.timeline?.older === "failed") void this.#session.older();
  }
}

/** Returns the conversation that stands before or after the open one in the list, around its ends. */
function beside(state: TerminalState, step: 1 | -1): Conversation | undefined {
  const all = listed(state);
  const open = all.findIndex(({ id }) => id === state.openId);
  if (open < 0) return all.at(step === 1 ? 0 : -1);
  return all[(open + step + all.length) % all.length];
}

function nextUnread(state: TerminalState): Conversation | undefined {
  return listed(state).find(({ id, unread }) => unread > 0 && id !== state.openId);
}

/** Goes up within a text of several lines, and from its first to what was sent before. */
function upOrOlder(editor: Editor, history: InputHistory): Editor {
  const lineStart = edit.home(editor).cursor;
  if (lineStart === 0) return history.older(editor);
  const column = editor.cursor - lineStart;
  const above = edit.home({ ...editor, cursor: lineStart - 1 }).cursor;
  return { ...editor, cursor: Math.min(above + column, lineStart - 1) };
}

function downOrNewer(editor: Editor, history: InputHistory): Editor {
  const lineEnd = edit.end(editor).cursor;
  if (lineEnd === editor.text.length) return history.newer(editor);
  const column = editor.cursor - edit.home(editor).cursor;
  const belowEnd = edit.end({ ...editor, cursor: lineEnd + 1 }).cursor;
  return { ...editor, cursor: Math.min(lineEnd + 1 + column, belowEnd) };
}
