/** Is called with a whole message: the bytes of `buffer` from `start` up to `end`, which it must not keep. */
export type OnMessage = (buffer: Buffer, start: number, end: number) => void;

const prefixBytes = 5;

/**
 * Cuts a byte stream into gRPC messages. Those that lie whole in what was read,
 * nearly all, are handed on where they lie; only torn ones are copied.
 */
export class MessageReader {
  readonly #onMessage: OnMessage;
  /** The beginning of a message whose rest has not come. */
  #torn: Buffer | undefined;
  /** How much of the torn one is there. */
  #filled = 0;

  constructor(onMessage: OnMessage) {
    this.#onMessage = onMessage;
  }

  /** Takes the bytes of `buffer` from `at` up to `end`. */
  read(buffer: Buffer, at: number, end: number): void {
    let next = this.#torn === undefined ? at : this.#mend(buffer, at, end);
    while (next < end) {
      const total = end - next < prefixBytes ? prefixBytes : prefixBytes + buffer.readUInt32BE(next + 1);
      if (next + total > end) {
        this.#torn = Buffer.allocUnsafe(total);
        this.#filled = buffer.copy(this.#torn, 0, next, end);
        return;
      }
      this.#onMessage(buffer, next + prefixBytes, next + total);
      next += total;
    }
  }

  /** Adds to the torn message; returns where the next one begins. */
  #mend(buffer: Buffer, at: number, end: number): number {
    let torn = this.#torn as Buffer;
    let next = at;
    for (;;) {
      const copied = buffer.copy(torn, this.#filled, next, end);
      this.#filled += copied;
      next += copied;
      if (this.#filled < torn.length) return next;
      const total = prefixBytes + torn.readUInt32BE(1);
      if (total === torn.length) break;
      // So far only the prefix was there, which now tells how long the message is.
      const longer = Buffer.allocUnsafe(total);
      torn.copy(longer);
      torn = longer;
      this.#torn = longer;
    }
    this.#torn = undefined;
    this.#onMessage(torn, prefixBytes, torn.length);
    return next;
  }
}
