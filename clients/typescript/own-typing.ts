import type { Target } from "./sends.ts";

/** Others are told again this often, in milliseconds, while somebody goes on typing; they show it for six seconds. */
const repeatMs = 3_000;
/** Whoever has not touched the text for this long, in milliseconds, does not type. */
const idleMs = 5_000;

/** Tells others that a user types, now and then, and when that ends. */
export class OwnTyping {
  readonly #tell: (target: Target, typing: boolean) => void;
  #told: { target: Target; atMs: number } | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  /** @param tell must not throw; nothing is lost when nobody hears it */
  constructor(tell: (target: Target, typing: boolean) => void) {
    this.#tell = tell;
  }

  /**
   * Notes that a user changed a text that is not sent yet.
   *
   * @param target where it would go, the same object while that stays the same; undefined when nowhere
   */
  wrote(target: Target | undefined, text: string): void {
    const typing = target !== undefined && text.trim() !== "";
    if (!typing || (this.#told !== undefined && this.#told.target !== target)) this.stop();
    if (!typing) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.stop(), idleMs);
    const nowMs = performance.now();
    if (this.#told !== undefined && nowMs - this.#told.atMs < repeatMs) return;
    this.#told = { target, atMs: nowMs };
    this.#tell(target, true);
  }

  /** Tells that the user no longer types, if others think so. */
  stop(): void {
    clearTimeout(this.#idle);
    if (this.#told === undefined) return;
    this.#tell(this.#told.target, false);
    this.#told = undefined;
  }
}
