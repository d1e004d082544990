/**
 * Arrays as PostgreSQL takes them in binary form. `pg` would write them as text:
 * bodies twice as long, in hexadecimal, and every string escaped.
 */

/** Types of elements, by their numbers in `pg_type`. */
const elementType = { bytea: 17, int8: 20, text: 25 };

/** Stands for the length of a null. */
const noLength = -1;

/** Makes a `text[]`. Strings must not contain NUL. */
export function textArray(values: ReadonlyArray<string | null>): Buffer {
  let size = 0;
  const lengths = values.map((value) => {
    if (value === null) return noLength;
    const length = Buffer.byteLength(value);
    size += length;
    return length;
  });
  const { buffer, offset: start } = begin(elementType.text, values, size);
  let offset = start;
  for (const [n, value] of values.entries()) {
    offset = buffer.writeInt32BE(lengths[n] as number, offset);
    if (value !== null) offset += buffer.write(value, offset, "utf8");
  }
  return buffer;
}

/** Makes a `bytea[]`. */
export function byteaArray(values: ReadonlyArray<Uint8Array | null>): Buffer {
  let size = 0;
  for (const value of values) size += value?.length ?? 0;
  const { buffer, offset: start } = begin(elementType.bytea, values, size);
  let offset = start;
  for (const value of values) {
    offset = buffer.writeInt32BE(value?.length ?? noLength, offset);
    if (value === null) continue;
    buffer.set(value, offset);
    offset += value.length;
  }
  return buffer;
}

/** Makes a `bigint[]` of whole numbers. */
export function bigintArray(values: ReadonlyArray<number | null>): Buffer {
  const size = values.filter((value) => value !== null).length * 8;
  const { buffer, offset: start } = begin(elementType.int8, values, size);
  let offset = start;
  for (const value of values) {
    if (value === null) {
      offset = buffer.writeInt32BE(noLength, offset);
      continue;
    }
    offset = buffer.writeInt32BE(8, offset);
    // As two halves, which is much faster than by way of a BigInt.
    offset = buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), offset);
    offset = buffer.writeUInt32BE(value >>> 0, offset);
  }
  return buffer;
}

/** Reads a `bigint[]` in text form, `{1,NULL,3}`. */
export function parseBigints(text: string): Array<number | undefined> {
  if (text === "{}") return [];
  return text
    .slice(1, -1)
    .split(",")
    .map((item) => (item === "NULL" ? undefined : Number(item)));
}

/** Writes the head of an array of one dimension. */
function begin(type: number, values: readonly unknown[], bytes: number): { buffer: Buffer; offset: number } {
  const { length } = values;
  if (length === 0) {
    const buffer = Buffer.alloc(12);
    buffer.writeInt32BE(type, 8);
    return { buffer, offset: 12 };
  }
  const buffer = Buffer.allocUnsafe(20 + length * 4 + bytes);
  // Dimensions, whether it has nulls, type, length, index of the first element.
  let offset = buffer.writeInt32BE(1, 0);
  offset = buffer.writeInt32BE(values.includes(null) ? 1 : 0, offset);
  offset = buffer.writeInt32BE(type, offset);
  offset = buffer.writeInt32BE(length, offset);
  offset = buffer.writeInt32BE(1, offset);
  return { buffer, offset };
}
