import { timestampTag } from "./tags.ts";
import { varintSize, writeVarint } from "./varint.ts";

/**
 * Writes Protobuf by hand where that is done for every message: what stays the
 * same is written as it is, and nothing is allocated but the result.
 *
 * Fields that have their default are left out by the caller. It holds one
 * message at a time; begin with `begin`.
 */
export class WireWriter {
  #bytes = Buffer.allocUnsafeSlow(16_384);
  #at = 0;

  /** Begins a message. */
  begin(): void {
    this.#at = 0;
  }

  /** Writes a string. */
  string(tag: number, value: string): void {
    this.#makeRoom(value.length * 3 + 16);
    this.#tag(tag);
    const bytes = this.#bytes;
    const { length } = value;
    if (length < 128) {
      // Most are short and ASCII; for those a loop is faster than a call out of JavaScript.
      const start = this.#at + 1;
      let i = 0;
      for (; i < length; i++) {
        const code = value.charCodeAt(i);
        if (code >= 0x80) break;
        bytes[start + i] = code;
      }
      if (i === length) {
        bytes[this.#at] = length;
        this.#at = start + length;
        return;
      }
    }
    this.#varint(Buffer.byteLength(value));
    this.#at += bytes.write(value, this.#at, "utf8");
  }

  /** Writes bytes. */
  bytes(tag: number, value: Uint8Array): void {
    this.#makeRoom(value.length + 16);
    this.#tag(tag);
    this.#varint(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** Writes a number from 0 to 2^53. */
  varint(tag: number, value: number): void {
    this.#makeRoom(16);
    this.#tag(tag);
    this.#varint(value);
  }

  /** Writes a `google.protobuf.Timestamp`, given in milliseconds since 1970. */
  timestamp(tag: number, timeMs: number): void {
    const seconds = Math.floor(timeMs / 1000);
    const nanos = (timeMs - seconds * 1000) * 1_000_000;
    const start = this.open(tag);
    if (seconds > 0) this.varint(timestampTag.seconds, seconds);
    if (nanos > 0) this.varint(timestampTag.nanos, nanos);
    this.close(start);
  }

  /** Begins a message within this one; what is written belongs to it until `close` is called with what this returns. */
  open(tag: number): number {
    this.#makeRoom(16);
    this.#tag(tag);
    return ++this.#at;
  }

  /** Ends a message within this one. */
  close(start: number): void {
    const size = this.#at - start;
    if (size < 0x80) {
      this.#bytes[start - 1] = size;
      return;
    }
    // One byte was kept for the size; it takes more.
    const more = varintSize(size) - 1;
    this.#makeRoom(more);
    this.#bytes.copyWithin(start + more, start, this.#at);
    this.#at = start - 1;
    this.#varint(size);
    this.#at += size;
  }

  /** Returns the message. */
  finish(): Uint8Array {
    const result = Buffer.allocUnsafe(this.#at);
    result.set(this.#bytes.subarray(0, this.#at));
    return result;
  }

  #tag(tag: number): void {
    if (tag < 0x80) this.#bytes[this.#at++] = tag;
    else this.#varint(tag);
  }

  #varint(value: number): void {
    this.#at = writeVarint(this.#bytes, this.#at, value);
  }

  #makeRoom(size: number): void {
    if (this.#at + size <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * (this.#at + size));
    larger.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = larger;
  }
}
