/**
 * Texts that the browser keeps by their keys. Where it keeps nothing, as people
 * can ask it to, or is full, they last until the page is left.
 */
export class KeptTexts {
  readonly #storage: () => Storage;
  readonly #unkept = new Map<string, string>();

  /** @param storage fails where the browser keeps nothing */
  constructor(storage: () => Storage) {
    this.#storage = storage;
  }

  /** Returns a text, or null when there is none. */
  get(key: string): string | null {
    return this.#unkept.get(key) ?? this.#ask((storage) => storage.getItem(key)) ?? null;
  }

  set(key: string, text: string): void {
    const done = this.#ask((storage) => {
      storage.setItem(key, text);
      return true;
    });
    if (done) {
      this.#unkept.delete(key);
    } else {
      // What was there before must not come back after a reload.
      this.remove(key);
      this.#unkept.set(key, text);
    }
  }

  remove(key: string): void {
    this.#unkept.delete(key);
    this.#ask((storage) => storage.removeItem(key));
  }

  #ask<T>(act: (storage: Storage) => T): T | undefined {
    try {
      return act(this.#storage());
    } catch {
      return undefined;
    }
  }
}

/** What is kept for this tab, through reloads. */
export const tab = new KeptTexts(() => sessionStorage);
/** What is kept in this browser, for all its tabs. */
export const browser = new KeptTexts(() => localStorage);
