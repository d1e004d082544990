/** Varints of Protobuf (https://protobuf.dev/programming-guides/encoding/#varints), of numbers up to 2^53. */

/** Returns how many bytes a number from 0 to 2^53 takes as a varint. */
export function varintSize(value: number): number {
  let size = 1;
  while (value >= 0x80) {
    value = Math.floor(value / 0x80);
    size++;
  }
  return size;
}

/** Writes a number from 0 to 2^53 as a varint and returns where the next byte goes. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  while (value >= 0x80000000) {
    target[at++] = (value % 0x80) | 0x80;
    value = Math.floor(value / 0x80);
  }
  while (value >= 0x80) {
    target[at++] = (value & 0x7f) | 0x80;
    value >>>= 7;
  }
  target[at++] = value;
  return at;
}
