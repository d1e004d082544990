import type { Target } from "../../typescript/sends.ts";

/** Who types is told of again this often. */
const repeatMs = 3_000;
/** Whoever has not touched the text for this long does not type. */
const idleMs = 5_000;

/** Tells others that the user types, now and then, and when that ends. */
export class OwnTyping {
  readonly #tell: (target: Target, typing: boolean) => void;
  #target: Target | undefined;
  #toldMs = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;

  /** @param tell must not throw; nothing is lost when nobody hears it */
  constructor(tell: (target: Target, typing: boolean) => void) {
    this.#tell = tell;
  }

  /** Notes that the user changed the text of a message that is not sent. */
  wrote(target: Target, text: string): void {
    if (this.#target !== undefined && this.#target !== target) this.stop();
    if (text.trim() === "") {
      this.stop();
      return;
    }
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.stop(), idleMs);
    const nowMs = performance.now();
    if (this.#target !== undefined && nowMs - this.#toldMs < repeatMs) return;
    this.#target = target;
    this.#toldMs = nowMs;
    this.#tell(target, true);
  }

  /** Tells that the user no longer types, if others think so. */
  stop(): void {
    clearTimeout(this.#idle);
    if (this.#target === undefined) return;
    this.#tell(this.#target, false);
    this.#target = undefined;
  }
}
