/**
 * What of the rules of protovalidate JSON Schema can say. Lengths in bytes
 * become lengths in characters, which are never more: what a schema refuses the
 * server refuses too, but not the other way round.
 */

import { type DescField, getExtension, getOption, hasExtension } from "@bufbuild/protobuf";
import * as rules from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { id as idRule } from "../../gen/parlance/chat/v1/id_rule_pb.js";
import { toEcma } from "../../src/rpc/validation.ts";
import { maxUserIdBytes, userIdPattern } from "../../wire/user-id.ts";
import type { Json } from "./json.ts";

/** Returns the rules of a field's value. */
export function fieldRules(field: DescField): Json {
  const { type, ignore } = getOption(field, rules.field);
  if (type.case === "repeated") {
    const { minItems, maxItems, unique } = type.value;
    return {
      ...(minItems > 0n && { minItems: Number(minItems) }),
      ...(maxItems > 0n && { maxItems: Number(maxItems) }),
      ...(unique && { uniqueItems: true }),
    };
  }
  if (type.case === "map")
    return type.value.maxPairs > 0n ? { maxProperties: Number(type.value.maxPairs) } : {};
  const schema = valueSchema(type);
  if (ignore !== rules.Ignore.IF_ZERO_VALUE || Object.keys(schema).length === 0) return schema;
  return { anyOf: [schema, { const: "" }] };
}

/** Returns the rules of a list's items. */
export function itemRules(field: DescField): Json {
  const { type } = getOption(field, rules.field);
  return type.case === "repeated" && type.value.items ? valueSchema(type.value.items.type) : {};
}

/** Returns the rules of a map's keys. */
export function keyRules(field: DescField): Json {
  const { type } = getOption(field, rules.field);
  return type.case === "map" && type.value.keys ? valueSchema(type.value.keys.type) : {};
}

/** Returns the rules of a map's values. */
export function valueRules(field: DescField): Json {
  const { type } = getOption(field, rules.field);
  return type.case === "map" && type.value.values ? valueSchema(type.value.values.type) : {};
}

/** Whether the rules of a string say that it is an id of a user or group. */
export function isId(strings: rules.StringRules): boolean {
  return hasExtension(strings, idRule) && getExtension(strings, idRule);
}

function valueSchema(type: rules.FieldRules["type"]): Json {
  switch (type.case) {
    case "string": {
      if (isId(type.value)) return { minLength: 1, maxLength: maxUserIdBytes, pattern: userIdPattern.source };
      const { minBytes, maxBytes, minLen, maxLen, pattern, wellKnown } = type.value;
      const min = minLen || (minBytes > 0n ? 1n : 0n);
      const max = maxLen || maxBytes;
      return {
        ...(min > 0n && { minLength: Number(min) }),
        ...(max > 0n && { maxLength: Number(max) }),
        ...(pattern !== "" && { pattern: toEcma(pattern) }),
        ...(wellKnown.case === "uuid" && { format: "uuid" }),
      };
    }
    case "int32": {
      const { greaterThan, lessThan } = type.value;
      return {
        ...(greaterThan.case === "gte" && { minimum: greaterThan.value }),
        ...(lessThan.case === "lte" && { maximum: lessThan.value }),
      };
    }
    case "int64":
      // As a string; of its bounds only the sign can be told.
      return type.value.greaterThan.case === "gte" && type.value.greaterThan.value >= 0n
        ? { pattern: "^\\d{1,19}$" }
        : {};
    default:
      return {};
  }
}
