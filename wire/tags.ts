import { type DescField, ScalarType } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";

/** Wire types (https://protobuf.dev/programming-guides/encoding/#structure). */
const varintType = 0;
/** The wire type of a value that follows its length: strings, bytes, messages. */
export const lengthDelimited = 2;

/** Scalar types whose values are neither varints nor follow their length. */
const fixedTypes: ReadonlySet<ScalarType> = new Set([
  ScalarType.DOUBLE,
  ScalarType.FLOAT,
  ScalarType.FIXED32,
  ScalarType.FIXED64,
  ScalarType.SFIXED32,
  ScalarType.SFIXED64,
]);

/**
 * Returns the tag of a field as it is written before its value, from the
 * field's descriptor. Packed and fixed-size fields are not written by hand
 * anywhere, so there is no tag for them.
 */
export function tagOf(field: DescField): number {
  const isPacked = field.fieldKind === "list" && field.listKind !== "message";
  if (isPacked) throw new Error(`${String(field)} has no tag to write by hand`);
  if (field.fieldKind === "enum") return (field.number << 3) | varintType;
  if (field.fieldKind !== "scalar") return tagOfBytes(field.number);
  if (fixedTypes.has(field.scalar)) throw new Error(`${String(field)} has no tag to write by hand`);
  const isBytes = field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES;
  return (field.number << 3) | (isBytes ? lengthDelimited : varintType);
}

/** Returns the tag of the field with this number whose value follows its length. */
export function tagOfBytes(fieldNumber: number): number {
  return (fieldNumber << 3) | lengthDelimited;
}

/** Tags of `Timestamp`. */
export const timestampTag = {
  seconds: tagOf(TimestampSchema.field.seconds),
  nanos: tagOf(TimestampSchema.field.nanos),
};
