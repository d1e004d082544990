import { type DescField, type DescMessage, type DescOneof, ScalarType } from "@bufbuild/protobuf";

/** A value that its field cannot hold. */
export interface Mistyped {
  /** The path of the field as in the proto, such as `content.text.body`; empty for the message itself. */
  field: string;
  /** `string.utf8` for text that UTF-8 cannot express, else `type`. */
  rule: "string.utf8" | "type";
  /** Says in English what it must be. */
  description: string;
}

/**
 * Finds the first value of a message, or of what one is to be made of, that its
 * field cannot hold as it is: of another type, out of range, or text with half
 * of a surrogate pair, which UTF-8 cannot express.
 *
 * TypeScript rules most of it out; JavaScript does not, and encoding would turn
 * such text into another. Never throws.
 */
export function findMistyped(schema: DescMessage, init: unknown): Mistyped | undefined {
  return inMessage(schema, init, "");
}

function inMessage(schema: DescMessage, init: unknown, path: string): Mistyped | undefined {
  let at = path;
  try {
    if (!isPlainObject(init)) return mistyped(path, "an object");
    const { $typeName = schema.typeName } = init;
    if ($typeName !== schema.typeName) return mistyped(path, `a ${schema.typeName}`);
    for (const member of schema.members) {
      at = memberOf(path, member);
      const value = init[member.localName];
      if (value === undefined || value === null) continue;
      const found = member.kind === "oneof" ? inOneof(member, value, path) : inField(member, value, at);
      if (found !== undefined) return found;
    }
    return undefined;
  } catch {
    return mistyped(at, "readable, but its getter or proxy throws");
  }
}

function inOneof(oneof: DescOneof, chosen: unknown, path: string): Mistyped | undefined {
  if (!isPlainObject(chosen)) return mistyped(memberOf(path, oneof), "an object with case and value");
  const { case: name, value } = chosen;
  if (name === undefined || name === null) return undefined;
  const field = oneof.fields.find(({ localName }) => localName === name);
  if (field !== undefined) return inField(field, value, memberOf(path, field));
  const cases = oneof.fields.map(({ localName }) => localName).join(", ");
  return mistyped(memberOf(path, oneof), `an object whose case is one of ${cases}`);
}

function memberOf(path: string, { name }: { name: string }): string {
  return path === "" ? name : `${path}.${name}`;
}

function inField(field: DescField, value: unknown, path: string): Mistyped | undefined {
  switch (field.fieldKind) {
    case "list": {
      if (!Array.isArray(value)) return mistyped(path, "an array");
      for (let i = 0; i < value.length; i++) {
        const found = inValue(field, value[i], `${path}[${i}]`);
        if (found !== undefined) return found;
      }
      return undefined;
    }
    case "map": {
      if (!isPlainObject(value)) return mistyped(path, "an object");
      for (const [key, item] of Object.entries(value)) {
        const at = `${path}[${JSON.stringify(key)}]`;
        const found = inScalar(ScalarType.STRING, key, at) ?? inValue(field, item, at);
        if (found !== undefined) return found;
      }
      return undefined;
    }
    default:
      return inValue(field, value, path);
  }
}

function inValue(field: DescField, value: unknown, path: string): Mistyped | undefined {
  if (field.message !== undefined) return inMessage(field.message, value, path);
  if (field.enum !== undefined) return inScalar(ScalarType.INT32, value, path);
  return inScalar(field.scalar as ScalarType, value, path);
}

function inScalar(type: ScalarType, value: unknown, path: string): Mistyped | undefined {
  const description = mustBe(type, value);
  if (description === undefined) return undefined;
  const isText = type === ScalarType.STRING && typeof value === "string";
  return mistyped(path, description, isText ? "string.utf8" : "type");
}

function mistyped(field: string, mustBe: string, rule: Mistyped["rule"] = "type"): Mistyped {
  return { field, rule, description: `must be ${mustBe}` };
}

/** Returns what a value of this type must be, or undefined when this one is. */
function mustBe(type: ScalarType, value: unknown): string | undefined {
  switch (type) {
    case ScalarType.STRING:
      if (typeof value !== "string") return "a string";
      return value.isWellFormed() ? undefined : "well-formed Unicode: it has half of a surrogate pair";
    case ScalarType.BYTES:
      return value instanceof Uint8Array ? undefined : "a Uint8Array";
    case ScalarType.BOOL:
      return typeof value === "boolean" ? undefined : "true or false";
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return typeof value === "number" ? undefined : "a number";
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return isWhole(value, -(2n ** 63n), 2n ** 63n - 1n) ? undefined : "a bigint of 64 bits";
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return isWhole(value, 0n, 2n ** 64n - 1n) ? undefined : "a bigint of 64 bits, not below 0";
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return isWholeNumber(value, 0, 2 ** 32 - 1) ? undefined : "a whole number of 32 bits, not below 0";
    default:
      return isWholeNumber(value, -(2 ** 31), 2 ** 31 - 1) ? undefined : "a whole number of 32 bits";
  }
}

function isWhole(value: unknown, min: bigint, max: bigint): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value) && value >= min && value <= max;
  return typeof value === "bigint" && value >= min && value <= max;
}

function isWholeNumber(value: unknown, min: number, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}
