/** Keeps what the user has typed and not sent yet, for each conversation, in this browser. */
export class Drafts {
  readonly #prefix: string;

  constructor(userId: string) {
    this.#prefix = `parlance.draft.${userId}.`;
  }

  /** Returns the draft for a conversation, or an empty text. */
  get(conversationId: string): string {
    return localStorage.getItem(this.#prefix + conversationId) ?? "";
  }

  /** Keeps a draft; an empty one is forgotten. */
  set(conversationId: string, text: string): void {
    if (text === "") localStorage.removeItem(this.#prefix + conversationId);
    else localStorage.setItem(this.#prefix + conversationId, text);
  }
}
