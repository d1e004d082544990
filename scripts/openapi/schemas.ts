import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescOneof,
  getOption,
  ScalarType,
} from "@bufbuild/protobuf";
import * as rules from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { commentOf, type Json } from "./json.ts";
import { fieldRules, isId, itemRules, keyRules, valueRules } from "./rules.ts";

/** The schemas of messages and enums, collected as they are asked for. */
export interface Schemas {
  /** Returns a reference to a message's schema. */
  refOf(message: DescMessage): Json;
  /** All that was asked for, and what they refer to, by name. */
  all(): Json;
}

/** Makes schemas by the JSON mapping of proto3. */
export function createSchemas(): Schemas {
  const made = new Map<string, Json>();

  function refOf(type: DescMessage | DescEnum): Json {
    if (type.kind === "message" && wellKnown[type.typeName]) return wellKnown[type.typeName] as Json;
    if (!made.has(type.typeName)) {
      made.set(type.typeName, {});
      made.set(type.typeName, type.kind === "enum" ? enumSchema(type) : messageSchema(type));
    }
    return { $ref: `#/components/schemas/${type.typeName}` };
  }

  function messageSchema(message: DescMessage): Json {
    const required = message.fields.filter(isRequired).map(({ jsonName }) => jsonName);
    const choices = message.oneofs.map(oneofSchema);
    return {
      description: commentOf(message),
      type: "object",
      properties: Object.fromEntries(message.fields.map((field) => [field.jsonName, fieldSchema(field)])),
      ...(required.length > 0 && { required }),
      ...(choices.length > 0 && { allOf: choices }),
    };
  }

  function fieldSchema(field: DescField): Json {
    const { oneof } = field;
    const description = [commentOf(field), oneof && `One of the options of \`${oneof.name}\`.`]
      .filter(Boolean)
      .join(" ");
    return { description, ...typeSchema(field), ...fieldRules(field) };
  }

  function typeSchema(field: DescField): Json {
    switch (field.fieldKind) {
      case "scalar":
        return scalar(field.scalar);
      case "enum":
        return refOf(field.enum);
      case "message":
        return refOf(field.message);
      case "list": {
        const items =
          field.listKind === "scalar"
            ? scalar(field.scalar)
            : refOf(field.listKind === "enum" ? field.enum : field.message);
        return { type: "array", items: { ...items, ...itemRules(field) } };
      }
      case "map": {
        const values =
          field.mapKind === "scalar"
            ? scalar(field.scalar)
            : refOf(field.mapKind === "enum" ? field.enum : field.message);
        const names = keyRules(field);
        return {
          type: "object",
          additionalProperties: { ...values, ...valueRules(field) },
          ...(Object.keys(names).length > 0 && { propertyNames: names }),
        };
      }
    }
  }

  return { refOf, all: () => Object.fromEntries([...made].sort(([a], [b]) => (a < b ? -1 : 1))) };
}

/** At most one of the fields, or exactly one if the rules say so. */
function oneofSchema(oneof: DescOneof): Json {
  const options = oneof.fields.map(({ jsonName }) => ({ required: [jsonName] }));
  const mayLack = !getOption(oneof, rules.oneof).required;
  return {
    description: commentOf(oneof),
    oneOf: mayLack ? [...options, { not: { anyOf: options } }] : options,
  };
}

/** Whether a request without the field breaks its rules. */
function isRequired(field: DescField): boolean {
  if (field.oneof !== undefined) return false;
  const { required, type, ignore } = getOption(field, rules.field);
  if (required) return true;
  if (ignore === rules.Ignore.IF_ZERO_VALUE) return false;
  if (field.fieldKind === "list") return type.case === "repeated" && type.value.minItems > 0n;
  return (
    field.fieldKind === "scalar" &&
    type.case === "string" &&
    (type.value.minBytes > 0n || type.value.minLen > 0n || isId(type.value))
  );
}

function enumSchema(type: DescEnum): Json {
  const values = type.values.map((value) => `- \`${value.name}\`: ${commentOf(value).replaceAll("\n", " ")}`);
  return {
    description: `${commentOf(type)}\n\n${values.join("\n")}`,
    type: "string",
    enum: type.values.map(({ name }) => name),
  };
}

function scalar(type: ScalarType): Json {
  switch (type) {
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BYTES:
      return { type: "string", contentEncoding: "base64" };
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { type: "integer", format: "int32" };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: "integer", format: "int32", minimum: 0 };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return { type: "string", format: "int64", pattern: "^-?\\d{1,19}$" };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { type: "string", format: "int64", pattern: "^\\d{1,20}$" };
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return { type: "number", format: "double" };
  }
}

/** Types whose JSON is not that of their fields. */
const wellKnown: Record<string, Json | undefined> = {
  "google.protobuf.Timestamp": { type: "string", format: "date-time" },
  "google.protobuf.Duration": { type: "string", pattern: "^-?\\d{1,12}(\\.\\d{1,9})?s$" },
  "google.protobuf.FieldMask": { type: "string" },
  "google.protobuf.Any": {
    type: "object",
    properties: {
      "@type": { description: "The type's URL, such as `type.googleapis.com/acme.Order`.", type: "string" },
      value: {
        description:
          "The encoded message, whatever its type. In the details of errors, the message's own fields instead.",
        type: "string",
        contentEncoding: "base64",
      },
    },
  },
};
