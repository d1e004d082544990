import { type Editor, editorOf } from "./editor.ts";

/** The most lines that are remembered. */
const maxLines = 200;

/** The lines sent so far, to be had again with the arrow keys. */
export class InputHistory {
  readonly #lines: string[] = [];
  /** Which line is shown; `#lines.length` is the one being typed. */
  #at = 0;
  #typed: Editor | undefined;

  /** Remembers a line that was sent. */
  add(line: string): void {
    if (line !== "" && line !== this.#lines.at(-1)) this.#lines.push(line);
    if (this.#lines.length > maxLines) this.#lines.shift();
    this.#at = this.#lines.length;
    this.#typed = undefined;
  }

  /** Returns the line before the one shown, which is kept for the way back. */
  older(shown: Editor): Editor {
    if (this.#at === 0) return shown;
    if (this.#at === this.#lines.length) this.#typed = shown;
    this.#at--;
    return editorOf(this.#lines[this.#at] ?? "");
  }

  /** Returns the line after the one shown, in the end the one that was being typed. */
  newer(shown: Editor): Editor {
    if (this.#at >= this.#lines.length) return shown;
    this.#at++;
    if (this.#at < this.#lines.length) return editorOf(this.#lines[this.#at] ?? "");
    return this.#typed ?? editorOf("");
  }
}
