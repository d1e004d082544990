import type { ParlanceClient, Target } from "../../../../clients/typescript/index.ts";

/** How often others are told while somebody goes on typing, in milliseconds; they show it for six seconds. */
const repeatMs = 3_000;

/** Tells others that this user types. */
export class OwnTyping {
  readonly #client: Pick<ParlanceClient, "setTyping">;
  #told: { target: Target; atMs: number } | undefined;

  constructor(client: Pick<ParlanceClient, "setTyping">) {
    this.#client = client;
  }

  /**
   * Takes note of what stands in the input line.
   *
   * @param target where it would go; undefined when nowhere, as a command
   */
  onInput(target: Target | undefined, text: string): void {
    const typing = target !== undefined && text !== "" && !/^\/(?!\/)/.test(text);
    const told = this.#told;
    if (told !== undefined && (!typing || told.target !== target)) {
      this.#client.setTyping(told.target, false);
      this.#told = undefined;
    }
    if (!typing) return;
    if (this.#told !== undefined && performance.now() - this.#told.atMs < repeatMs) return;
    this.#client.setTyping(target, true);
    this.#told = { target, atMs: performance.now() };
  }
}
