import { browser } from "./kept.ts";
/** Keeps what the user has typed and not sent yet, for each conversation, in this browser. */
export class Drafts {
  readonly #prefix: string;

  constructor(userId: string) {
    this.#prefix = `parlance.draft.${userId}.`;
  }

  /** Returns the draft for a conversation, or an empty text. */
  get(conversationId: string): string {
    return browser.get(this.#prefix + conversationId) ?? "";
  }

  /** Keeps a draft; an empty one is forgotten. */
  set(conversationId: string, text: string): void {
    if (text === "") browser.remove(this.#prefix + conversationId);
    else browser.set(this.#prefix + conversationId, text);
  }
}
